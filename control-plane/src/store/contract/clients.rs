//! Registration, records of clients that are described elsewhere, and what they may use once.

use portcullis_proto::ids::ClientId;
use portcullis_proto::revocation::Scope;

use super::fixtures::{
    self, LOGIN, MANY, UNUSED, at, client, granted, parallel, pending, register, token_id,
};
use crate::oauth::client::{Client, ClientAuth, ClientSource};
use crate::oauth::enrolment::EnrolmentId;
use crate::oauth::pending::{BrowserId, Purpose, StateId};
use crate::store::{Begun, Enrolled, Granted, Registered, Store};

fn record(name: &str) -> Client {
    Client { source: ClientSource::Document, auth: ClientAuth::None, ..client(name) }.record()
}

pub(crate) async fn a_client_is_kept(store: &dyn Store) {
    register(store, "c").await;
    assert_eq!(store.client(&ClientId::new("c"), at(0)).await.unwrap(), Some(client("c")));
    assert_eq!(store.client(&ClientId::new("other"), at(0)).await.unwrap(), None);
}

pub(crate) async fn a_client_is_forgotten_unless_used(store: &dyn Store) {
    register(store, "unused").await;
    granted(store, "used", at(0)).await;
    let known = async |name, now| store.client(&ClientId::new(name), now).await.unwrap().is_some();
    assert!(known("unused", at(UNUSED - 1)).await);
    assert!(!known("unused", at(UNUSED)).await);
    assert!(known("used", at(UNUSED)).await);
}

/// The names of the clients that are there.
async fn names(store: &dyn Store) -> Vec<String> {
    store.clients(None, MANY).await.unwrap().into_iter().map(|client| client.id.to_string()).collect()
}

/// Registers a client that is forgotten at `until` unless it is used.
async fn until(store: &dyn Store, name: &str, until: u64, quota: usize) -> Registered {
    let client = Client { unused_until: Some(at(until)), ..client(name) };
    store.register(client, quota).await.unwrap()
}

pub(crate) async fn the_quota_counts_unused_clients(store: &dyn Store) {
    granted(store, "used", at(0)).await;
    assert_eq!(store.register(client("a"), 2).await.unwrap(), Registered::Done);
    assert_eq!(store.register(client("b"), 2).await.unwrap(), Registered::Done);
    // Somebody logs in with one of them, so there is room for one more; logging in again makes no more.
    for name in ["g1", "g2"] {
        let grant = fixtures::grant(name, "a", at(0));
        let code = fixtures::code(&grant);
        store.grant(grant, fixtures::token_id(name), code).await.unwrap();
    }
    assert_eq!(store.register(client("c"), 2).await.unwrap(), Registered::Done);
    assert_eq!(store.register(client("d"), 2).await.unwrap(), Registered::InPlaceOf(1));
    assert_eq!(names(store).await, ["a", "c", "d", "used"]);
}

pub(crate) async fn the_unused_client_whose_end_is_next_makes_room(store: &dyn Store) {
    granted(store, "used", at(0)).await;
    for (name, end) in [("a", 300), ("b", 100), ("c", 200)] {
        assert_eq!(until(store, name, end, 3).await, Registered::Done);
    }
    assert_eq!(until(store, "d", 400, 3).await, Registered::InPlaceOf(1));
    assert_eq!(names(store).await, ["a", "c", "d", "used"]);
    // One that registers again has another end.
    assert_eq!(until(store, "c", 500, 3).await, Registered::Done);
    assert_eq!(until(store, "e", 600, 3).await, Registered::InPlaceOf(1));
    assert_eq!(names(store).await, ["c", "d", "e", "used"]);
    // What the sweeper has taken away does not have to make room; what was there before still counts.
    store.sweep(at(450), MANY).await.unwrap();
    assert_eq!(until(store, "f", 700, 3).await, Registered::Done);
    assert_eq!(until(store, "g", 700, 3).await, Registered::InPlaceOf(1));
    assert_eq!(names(store).await, ["e", "f", "g", "used"]);
    // A lower quota comes into force with the next.
    assert_eq!(until(store, "h", 700, 1).await, Registered::InPlaceOf(3));
    assert_eq!(names(store).await, ["h", "used"]);
}

pub(crate) async fn whoever_is_about_to_log_in_does_not_lose_the_client(store: &dyn Store) {
    for (name, end) in [("a", 5_000), ("b", 6_000), ("c", 7_000), ("d", 8_000)] {
        until(store, name, end, 4).await;
    }
    let begin = async |client: &str| {
        let mut pending = pending("browser");
        if let Purpose::Authorization(request) = &mut pending.purpose {
            request.client = ClientId::new(client);
        }
        assert_eq!(store.begin(StateId::of(client), pending, MANY).await.unwrap(), Begun::Done);
    };
    begin("a").await;
    begin("b").await;
    fixtures::enrol(store, "c", "c").await;
    // Also while the provider is asked, when the login is not stored any more.
    let taken = store.take_pending(&StateId::of("b"), &BrowserId::of("browser"), at(LOGIN - 1)).await;
    assert!(taken.unwrap().is_some());
    assert_eq!(until(store, "e", 9_000, 4).await, Registered::InPlaceOf(1));
    assert_eq!(names(store).await, ["a", "b", "c", "e"]);
    begin("e").await;
    assert_eq!(until(store, "f", 9_000, 4).await, Registered::Full);
    assert_eq!(names(store).await, ["a", "b", "c", "e"]);
    // The logins' time is up, and a minute more.
    store.sweep(at(LOGIN + 59), MANY).await.unwrap();
    assert_eq!(until(store, "f", 9_000, 4).await, Registered::Full);
    store.sweep(at(LOGIN + 60), MANY).await.unwrap();
    assert_eq!(until(store, "f", 9_000, 4).await, Registered::InPlaceOf(1));
    assert_eq!(names(store).await, ["b", "c", "e", "f"]);
}

pub(crate) async fn a_client_that_somebody_has_logged_in_with_never_makes_room(store: &dyn Store) {
    granted(store, "used", at(0)).await;
    store.revoke(Scope::Client(ClientId::new("used")), at(1)).await.unwrap();
    store.sweep(at(1), MANY).await.unwrap();
    for name in ["a", "b"] {
        until(store, name, UNUSED, 1).await;
    }
    assert_eq!(names(store).await, ["b", "used"]);
    fixtures::enrol(store, "e", "b").await;
    assert_eq!(until(store, "c", UNUSED, 1).await, Registered::Full);
    let ended = store
        .finish_enrolment(
            &EnrolmentId::of("e"),
            &BrowserId::of("browser"),
            fixtures::finish("e", "b", at(1)),
            at(1),
        )
        .await;
    assert_eq!(ended.unwrap(), Enrolled::Done(vec![]));
    assert_eq!(until(store, "c", UNUSED, 1).await, Registered::Done);
    assert_eq!(until(store, "d", UNUSED, 1).await, Registered::InPlaceOf(1));
    assert_eq!(names(store).await, ["b", "d", "used"]);
}

pub(crate) async fn of_parallel_registrations_no_more_than_the_quota_stay(store: &dyn Store) {
    granted(store, "used", at(0)).await;
    let outcomes = parallel(32, async |number| until(store, &format!("p{number}"), UNUSED, 4).await).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Registered::Done).count(), 4);
    assert_eq!(names(store).await.len(), 5);
}

pub(crate) async fn clients_are_listed_in_order(store: &dyn Store) {
    for name in ["b", "a", "ab", "c"] {
        register(store, name).await;
    }
    let list = async |after: Option<&str>, limit| {
        let after = after.map(ClientId::new);
        let clients = store.clients(after.as_ref(), limit).await.unwrap();
        clients.into_iter().map(|client| client.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, MANY).await, ["a", "ab", "b", "c"]);
    assert_eq!(list(None, 2).await, ["a", "ab"]);
    assert_eq!(list(Some("ab"), 1).await, ["b"]);
    assert_eq!(list(Some("aa"), MANY).await, ["ab", "b", "c"]);
    assert!(list(Some("c"), MANY).await.is_empty());
}

pub(crate) async fn a_record_replaces_what_was_there(store: &dyn Store) {
    let stored = async || store.client(&ClientId::new("c"), at(UNUSED)).await.unwrap();
    store.remember(record("c")).await.unwrap();
    assert_eq!(stored().await, Some(record("c")));
    let renamed = Client { name: Some("another".into()), ..record("c") };
    for time in 1..3 {
        store.remember(Client { created_at: at(time), ..renamed.clone() }).await.unwrap();
        assert_eq!(stored().await, Some(renamed.clone()));
    }
    // It counts in no quota; a registration in whose place it comes does not count any more either.
    assert_eq!(store.register(client("a"), 1).await.unwrap(), Registered::Done);
    store.remember(record("a")).await.unwrap();
    assert_eq!(store.register(client("b"), 1).await.unwrap(), Registered::Done);
    // What has replaced a registration does not go with it.
    store.sweep(at(UNUSED), MANY).await.unwrap();
    assert_eq!(store.client(&ClientId::new("a"), at(UNUSED)).await.unwrap(), Some(record("a")));
    assert_eq!(store.register(client("d"), 1).await.unwrap(), Registered::Done);
    assert_eq!(store.register(client("e"), 1).await.unwrap(), Registered::InPlaceOf(1));
}

pub(crate) async fn a_client_that_is_there_counts_once_and_stays_if_used(store: &dyn Store) {
    let unused = |until| Client { unused_until: Some(at(until)), ..record("c") };
    for until in [UNUSED, UNUSED * 2] {
        assert_eq!(store.register(unused(until), 1).await.unwrap(), Registered::Done);
    }
    store.sweep(at(UNUSED), MANY).await.unwrap();
    let stored = async |now| store.client(&ClientId::new("c"), at(now)).await.unwrap();
    assert_eq!(stored(UNUSED).await, Some(unused(UNUSED * 2)));
    store.sweep(at(UNUSED * 2), MANY).await.unwrap();
    assert!(store.clients(None, MANY).await.unwrap().is_empty());
    store.remember(record("c")).await.unwrap();
    assert_eq!(store.register(unused(UNUSED), 1).await.unwrap(), Registered::Done);
    assert_eq!(stored(UNUSED * 2).await, Some(record("c")));
    assert_eq!(store.register(client("a"), 1).await.unwrap(), Registered::Done);
}

pub(crate) async fn a_recorded_client_can_be_granted(store: &dyn Store) {
    store.remember(record("c")).await.unwrap();
    let grant = fixtures::grant("g", "c", at(UNUSED));
    let code = fixtures::code(&grant);
    assert_eq!(store.grant(grant, token_id("g"), code).await.unwrap(), Granted::Done);
    assert_eq!(store.client(&ClientId::new("c"), at(UNUSED)).await.unwrap(), Some(record("c")));
}

pub(crate) async fn what_is_good_once_is_used_once(store: &dyn Store) {
    let use_once = async |name| store.use_once(token_id(name), at(100)).await.unwrap();
    assert!(use_once("a").await);
    assert!(!use_once("a").await && !use_once("a").await);
    assert!(use_once("b").await);
}

pub(crate) async fn of_parallel_uses_one_is_the_first(store: &dyn Store) {
    let firsts = parallel(32, async |_| store.use_once(token_id("a"), at(100)).await.unwrap()).await;
    assert_eq!(firsts.into_iter().filter(|first| *first).count(), 1);
}

pub(crate) async fn what_was_used_is_forgotten_in_its_time(store: &dyn Store) {
    assert!(store.use_once(token_id("a"), at(100)).await.unwrap());
    store.sweep(at(99), MANY).await.unwrap();
    assert!(!store.use_once(token_id("a"), at(100)).await.unwrap());
    assert_eq!(store.sweep(at(100), MANY).await.unwrap(), 1);
    assert!(store.use_once(token_id("a"), at(200)).await.unwrap());
}

//! Logins that wait for a token of the user's own, and these tokens.

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject};
use portcullis_proto::revocation::{Entry, Scope};

use super::fixtures::{
    LOGIN, MANY, access_id, at, enrol, enrolled, enrolment, finish, granted, head, holder, is_accepted,
    is_live, parallel, redeemed, register, rotated, token_id, user_token,
};
use crate::oauth::enrolment::{ATTEMPTS, EnrolmentId, MOST_OF_A_USER};
use crate::oauth::pending::BrowserId;
use crate::store::{Begun, Enrolled, Store};

fn scopes(entries: Vec<Entry>) -> Vec<Scope> {
    entries.into_iter().map(|entry| entry.scope).collect()
}

async fn attempt(store: &dyn Store, name: &str, browser: &str, now: u64) -> Option<u32> {
    let (id, browser) = (EnrolmentId::of(name), BrowserId::of(browser));
    store.attempt(&id, &browser, at(now)).await.unwrap().map(|enrolment| enrolment.attempts)
}

async fn end(store: &dyn Store, name: &str, now: u64) -> Enrolled {
    let (id, browser) = (EnrolmentId::of(name), BrowserId::of("browser"));
    store.finish_enrolment(&id, &browser, finish(name, name, at(now)), at(now)).await.unwrap()
}

pub(crate) async fn an_enrolment_ends_in_a_grant_a_code_and_a_token(store: &dyn Store) {
    enrol(store, "e", "e").await;
    assert!(!is_live(store, "e").await);
    assert_eq!(store.code(&token_id("e")).await.unwrap(), None);
    assert_eq!(store.user_token(&holder("e")).await.unwrap(), None);
    assert_eq!(end(store, "e", 1).await, Enrolled::Done(vec![]));
    assert!(is_live(store, "e").await);
    assert!(store.code(&token_id("e")).await.unwrap().is_some());
    assert_eq!(store.user_token(&holder("e")).await.unwrap(), Some(user_token("e")));
    assert_eq!(end(store, "e", 1).await, Enrolled::Gone, "once");
    assert_eq!(attempt(store, "e", "browser", 1).await, None);
}

pub(crate) async fn an_enrolment_is_for_its_browser_and_in_time(store: &dyn Store) {
    enrol(store, "e", "e").await;
    assert_eq!(attempt(store, "e", "another", 1).await, None);
    assert_eq!(attempt(store, "e", "browser", LOGIN).await, None);
    let (id, other) = (EnrolmentId::of("e"), BrowserId::of("another"));
    assert_eq!(store.take_enrolment(&id, &other, at(1)).await.unwrap(), None);
    let finished = store.finish_enrolment(&id, &other, finish("e", "e", at(1)), at(1)).await.unwrap();
    assert_eq!(finished, Enrolled::Gone);
    assert_eq!(end(store, "e", LOGIN).await, Enrolled::Gone);
    assert_eq!(end(store, "e", LOGIN - 1).await, Enrolled::Done(vec![]));
}

pub(crate) async fn attempts_are_counted_and_run_out(store: &dyn Store) {
    enrol(store, "e", "e").await;
    for number in 1..=ATTEMPTS {
        assert_eq!(attempt(store, "e", "browser", 1).await, Some(number));
    }
    assert_eq!(attempt(store, "e", "browser", 1).await, None);
    assert_eq!(end(store, "e", 1).await, Enrolled::Gone, "one too many has ended it");
}

pub(crate) async fn an_enrolment_is_taken_once(store: &dyn Store) {
    enrol(store, "e", "e").await;
    let take =
        async || store.take_enrolment(&EnrolmentId::of("e"), &BrowserId::of("browser"), at(1)).await.unwrap();
    let mut kept = enrolment("e", "e", at(0));
    kept.grant.born = Sequence(0);
    assert_eq!(take().await, Some(kept));
    assert_eq!(take().await, None);
    assert_eq!(end(store, "e", 1).await, Enrolled::Gone);
}

pub(crate) async fn of_parallel_finishes_one_wins(store: &dyn Store) {
    enrol(store, "e", "e").await;
    let ends = parallel(32, async |_| end(store, "e", 1).await).await;
    assert_eq!(ends.iter().filter(|end| **end == Enrolled::Done(vec![])).count(), 1);
}

pub(crate) async fn the_quota_counts_enrolments(store: &dyn Store) {
    register(store, "c").await;
    let begin = async |name: &str| {
        store.enrol(EnrolmentId::of(name), enrolment(name, "c", at(0)), 1).await.unwrap().unwrap()
    };
    assert_eq!(begin("a").await, Begun::Done);
    assert_eq!(begin("b").await, Begun::Full);
    let taken = store.take_enrolment(&EnrolmentId::of("a"), &BrowserId::of("browser"), at(1)).await.unwrap();
    assert!(taken.is_some());
    assert_eq!(begin("b").await, Begun::Done);
    store.sweep(at(LOGIN), MANY).await.unwrap();
    assert_eq!(begin("c").await, Begun::Done);
}

pub(crate) async fn what_is_revoked_meanwhile_ends_an_enrolment(store: &dyn Store) {
    for (name, scope) in [
        ("client", Scope::Client(ClientId::new("client"))),
        ("subject", Scope::Subject(ProviderName::new("provider"), Subject::new("subject"))),
        ("server", Scope::Server(ServerName::new("server-server"))),
        ("everything", Scope::Everything),
    ] {
        enrol(store, name, name).await;
        store.revoke(scope, at(1)).await.unwrap();
        assert_eq!(attempt(store, name, "browser", 1).await, None, "{name}");
        assert_eq!(end(store, name, 1).await, Enrolled::Gone, "{name}");
        // Also when nobody remembers what has ended it.
        for _ in 0..8 {
            store.sweep(at(1), MANY).await.unwrap();
        }
        assert_eq!(end(store, name, 1).await, Enrolled::Gone, "{name}");
    }
    // Who logs in later is not meant.
    enrol(store, "later", "client").await;
    let (id, browser) = (EnrolmentId::of("later"), BrowserId::of("browser"));
    let ended = store.finish_enrolment(&id, &browser, finish("later", "client", at(2)), at(2)).await.unwrap();
    assert_eq!(ended, Enrolled::Done(vec![]));
}

pub(crate) async fn one_user_has_so_many_enrolments(store: &dyn Store) {
    let enrol = async |id: String, user| {
        store.enrol(EnrolmentId::of(&id), enrolment(&id, user, at(0)), MANY).await.unwrap().unwrap()
    };
    register(store, "a").await;
    for number in 0..MOST_OF_A_USER {
        assert_eq!(enrol(format!("a{number}"), "a").await, Begun::Done);
    }
    assert_eq!(enrol("more".into(), "a").await, Begun::TooMany);
    assert_eq!(enrol("b".into(), "b").await, Begun::Done);
    let (id, browser) = (EnrolmentId::of("a0"), BrowserId::of("browser"));
    assert!(store.take_enrolment(&id, &browser, at(1)).await.unwrap().is_some());
    let (id, finish) = (EnrolmentId::of("a1"), finish("a1", "a", at(1)));
    assert_eq!(store.finish_enrolment(&id, &browser, finish, at(1)).await.unwrap(), Enrolled::Done(vec![]));
    assert_eq!(enrol("c".into(), "a").await, Begun::Done);
    assert_eq!(enrol("d".into(), "a").await, Begun::Done);
    assert_eq!(enrol("more".into(), "a").await, Begun::TooMany);
    store.sweep(at(LOGIN), MANY).await.unwrap();
    assert_eq!(enrol("later".into(), "a").await, Begun::Done);
}

pub(crate) async fn a_new_token_ends_the_access_tokens_that_had_the_old_one(store: &dyn Store) {
    enrolled(store, "e", at(0)).await;
    redeemed(store, "bystander", at(0)).await;
    rotated(store, "e", "2", "e", at(1)).await;
    let replace = async |name, token| {
        store.replace_user_token(&holder(name), user_token(token), at(2)).await.unwrap().map(scopes)
    };
    assert_eq!(replace("bystander", "new").await, None, "there is none to replace");
    let mut tokens = [access_id("e"), access_id("2")];
    tokens.sort_unstable();
    assert_eq!(replace("e", "new").await, Some(tokens.map(Scope::Token).to_vec()));
    assert_eq!(store.user_token(&holder("e")).await.unwrap(), Some(user_token("new")));
    assert!(!is_accepted(store, "e", at(2)).await && !is_accepted(store, "2", at(2)).await);
    assert!(is_live(store, "e").await && is_accepted(store, "bystander", at(2)).await);
    // The client refreshes, and has what is new.
    rotated(store, "e", "3", "2", at(2)).await;
    assert!(is_accepted(store, "3", at(2)).await);
    assert_eq!(replace("e", "newer").await, Some(vec![Scope::Token(access_id("3"))]));
}

pub(crate) async fn a_token_that_a_second_enrolment_brings_replaces_the_first(store: &dyn Store) {
    enrolled(store, "e", at(0)).await;
    let second = enrolment("second", "e", at(0));
    store.enrol(EnrolmentId::of("second"), second, MANY).await.unwrap().unwrap();
    let (id, browser) = (EnrolmentId::of("second"), BrowserId::of("browser"));
    let ended = store.finish_enrolment(&id, &browser, finish("second", "e", at(1)), at(1)).await.unwrap();
    let Enrolled::Done(entries) = ended else { panic!("{ended:?}") };
    assert_eq!(scopes(entries), [Scope::Token(access_id("e"))]);
    assert!(is_live(store, "e").await && is_live(store, "second").await);
}

pub(crate) async fn a_removed_token_takes_the_users_grants_there_along(store: &dyn Store) {
    enrolled(store, "e", at(0)).await;
    redeemed(store, "bystander", at(0)).await;
    let entries = store.remove_user_token(&holder("e"), at(1)).await.unwrap();
    assert_eq!(scopes(entries), [Scope::Grant(GrantId::new("e"))]);
    assert_eq!(store.user_token(&holder("e")).await.unwrap(), None);
    assert!(!is_live(store, "e").await && !is_accepted(store, "e", at(1)).await);
    assert!(is_live(store, "bystander").await);
    assert!(store.remove_user_token(&holder("e"), at(1)).await.unwrap().is_empty());
    assert_eq!(head(store), 1);
}

pub(crate) async fn a_revocation_leaves_the_users_token(store: &dyn Store) {
    enrolled(store, "e", at(0)).await;
    let subject = Scope::Subject(ProviderName::new("provider"), Subject::new("e"));
    store.revoke(subject, at(1)).await.unwrap();
    for _ in 0..8 {
        store.sweep(at(1), MANY).await.unwrap();
    }
    assert!(!is_live(store, "e").await);
    assert_eq!(store.user_token(&holder("e")).await.unwrap(), Some(user_token("e")));
}

pub(crate) async fn a_user_has_grants_while_they_live(store: &dyn Store) {
    for name in ["a", "b", "c"] {
        granted(store, name, at(0)).await;
    }
    let of = async |subject: &str, limit| {
        let (provider, subject) = (ProviderName::new("provider"), Subject::new(subject));
        let servers = ["a", "b", "elsewhere"].map(|name| ServerName::new(format!("server-{name}")));
        let grants = store.grants_of(&provider, &subject, &servers, limit).await.unwrap();
        grants.into_iter().map(|grant| grant.id.to_string()).collect::<Vec<_>>()
    };
    for name in ["a2", "a0", "a1"] {
        let mut grant = super::fixtures::grant(name, "a", at(0));
        if name == "a0" {
            grant.server = ServerName::new("server-c"); // one that is not asked about takes nobody's place
        }
        let code = super::fixtures::code(&grant);
        store.grant(grant, token_id(name), code).await.unwrap();
    }
    assert_eq!(of("a", MANY).await, ["a", "a1", "a2"]);
    assert_eq!(of("a", 2).await, ["a", "a1"]);
    store.revoke(Scope::Grant(GrantId::new("a1")), at(1)).await.unwrap();
    assert_eq!(of("a", MANY).await, ["a", "a2"]);
    store.revoke(Scope::Client(ClientId::new("a")), at(1)).await.unwrap();
    assert!(of("a", MANY).await.is_empty());
    assert_eq!(of("b", MANY).await, ["b"]);
    store.sweep(at(10 * LOGIN), MANY).await.unwrap();
    assert!(of("b", MANY).await.is_empty() && of("nobody", MANY).await.is_empty());
}

//! Logins under way.

use portcullis_proto::ids::{ClientId, Sequence, ServerName};
use portcullis_proto::revocation::Scope;

use super::fixtures::{LOGIN, MANY, at, begin, parallel, pending};
use crate::oauth::pending::{BrowserId, MOST_IN_A_BROWSER, Pending, StateId};
use crate::store::{Begun, Store};

pub(crate) async fn a_login_is_taken_once(store: &dyn Store) {
    begin(store, "state", "browser").await;
    let take =
        async || store.take_pending(&StateId::of("state"), &BrowserId::of("browser"), at(1)).await.unwrap();
    assert_eq!(take().await, Some(pending("browser")));
    assert_eq!(take().await, None);
}

pub(crate) async fn another_browser_changes_nothing(store: &dyn Store) {
    begin(store, "state", "browser").await;
    let take = async |browser| {
        store.take_pending(&StateId::of("state"), &BrowserId::of(browser), at(1)).await.unwrap()
    };
    assert_eq!(take("another").await, None);
    assert_eq!(take("browser").await, Some(pending("browser")));
}

pub(crate) async fn a_late_answer_gets_nothing(store: &dyn Store) {
    begin(store, "a", "browser").await;
    begin(store, "b", "browser").await;
    let take = async |state, now| {
        store.take_pending(&StateId::of(state), &BrowserId::of("browser"), now).await.unwrap()
    };
    assert_eq!(take("a", at(LOGIN)).await, None);
    assert_eq!(take("b", at(LOGIN - 1)).await, Some(pending("browser")));
}

pub(crate) async fn the_quota_counts_logins_under_way(store: &dyn Store) {
    let begin = async |state| store.begin(StateId::of(state), pending("browser"), 2).await.unwrap();
    assert_eq!(begin("a").await, Begun::Done);
    assert_eq!(begin("b").await, Begun::Done);
    assert_eq!(begin("c").await, Begun::Full);
    let take = async |state, browser| {
        store.take_pending(&StateId::of(state), &BrowserId::of(browser), at(1)).await.unwrap()
    };
    assert_eq!(take("c", "browser").await, None);
    assert_eq!(take("a", "another").await, None);
    assert_eq!(begin("c").await, Begun::Full);
    assert!(take("a", "browser").await.is_some());
    assert_eq!(begin("c").await, Begun::Done);
    assert_eq!(begin("d").await, Begun::Full);
}

pub(crate) async fn one_browser_has_so_many_logins(store: &dyn Store) {
    let begin = async |state: String, browser| {
        store.begin(StateId::of(&state), pending(browser), MANY).await.unwrap()
    };
    for number in 0..MOST_IN_A_BROWSER {
        assert_eq!(begin(format!("a{number}"), "a").await, Begun::Done);
    }
    assert_eq!(begin("more".into(), "a").await, Begun::TooMany);
    assert_eq!(begin("b".into(), "b").await, Begun::Done);
    let taken = store.take_pending(&StateId::of("a0"), &BrowserId::of("a"), at(1)).await.unwrap();
    assert!(taken.is_some());
    assert_eq!(begin("more".into(), "a").await, Begun::Done);
    assert_eq!(begin("yet more".into(), "a").await, Begun::TooMany);
    store.sweep(at(LOGIN), MANY).await.unwrap();
    assert_eq!(begin("later".into(), "a").await, Begun::Done);
}

pub(crate) async fn of_parallel_takers_one_wins(store: &dyn Store) {
    begin(store, "state", "browser").await;
    let taken = parallel(32, async |_| {
        store.take_pending(&StateId::of("state"), &BrowserId::of("browser"), at(1)).await.unwrap()
    })
    .await;
    assert_eq!(taken.into_iter().flatten().count(), 1);
}

pub(crate) async fn what_is_revoked_meanwhile_ends_a_login(store: &dyn Store) {
    let take =
        async || store.take_pending(&StateId::of("state"), &BrowserId::of("browser"), at(1)).await.unwrap();
    for (scope, ends) in [
        (Scope::Client(ClientId::new("another")), false),
        (Scope::Client(ClientId::new("c")), true),
        (Scope::Server(ServerName::new("server-c")), true),
        (Scope::Everything, true),
    ] {
        begin(store, "state", "browser").await;
        store.revoke(scope.clone(), at(1)).await.unwrap();
        assert_eq!(take().await.is_none(), ends, "{scope:?}");
    }
    // A login that begins later is not meant.
    begin(store, "state", "browser").await;
    assert_eq!(take().await, Some(Pending { born: Some(Sequence(4)), ..pending("browser") }));
}

pub(crate) async fn t20_a_login_that_was_revoked_stays_so_when_the_sweeper_has_been_past(store: &dyn Store) {
    for limit in [1, MANY] {
        begin(store, "state", "browser").await;
        store.revoke(Scope::Client(ClientId::new("c")), at(1)).await.unwrap();
        for _ in 0..20 {
            store.sweep(at(1), limit).await.unwrap();
        }
        let browser = BrowserId::of("browser");
        assert_eq!(store.take_pending(&StateId::of("state"), &browser, at(1)).await.unwrap(), None);
    }
}

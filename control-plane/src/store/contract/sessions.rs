//! Sessions on the account page.

use portcullis_proto::ids::{ClientId, ProviderName, Sequence, Subject};
use portcullis_proto::revocation::Scope;

use super::fixtures::{MANY, SESSION, at, session};
use crate::oauth::session::{ATTEMPTS, MOST_OF_A_USER, Session, SessionId};
use crate::store::{Begun, Store};

async fn open(store: &dyn Store, name: &str, quota: usize) -> Begun {
    store.open_session(SessionId::of(name), session(name, at(0)), quota).await.unwrap().unwrap()
}

async fn is_open(store: &dyn Store, name: &str, now: u64) -> bool {
    store.session(&SessionId::of(name), at(now)).await.unwrap().is_some()
}

pub(crate) async fn a_session_lasts_until_it_ends(store: &dyn Store) {
    store.revoke(Scope::Everything, at(0)).await.unwrap();
    assert_eq!(open(store, "a", MANY).await, Begun::Done);
    assert_eq!(open(store, "b", MANY).await, Begun::Done);
    let kept = store.session(&SessionId::of("a"), at(1)).await.unwrap();
    assert_eq!(kept, Some(Session { born: Sequence(1), ..session("a", at(0)) }));
    assert!(is_open(store, "a", SESSION - 1).await && !is_open(store, "a", SESSION).await);
    assert!(!is_open(store, "unknown", 1).await);
    store.end_session(&SessionId::of("a")).await.unwrap();
    store.end_session(&SessionId::of("a")).await.unwrap();
    assert!(!is_open(store, "a", 1).await && is_open(store, "b", 1).await);
}

pub(crate) async fn the_quota_counts_sessions(store: &dyn Store) {
    assert_eq!(open(store, "a", 1).await, Begun::Done);
    assert_eq!(open(store, "b", 1).await, Begun::Full);
    assert!(!is_open(store, "b", 1).await);
    store.end_session(&SessionId::of("a")).await.unwrap();
    assert_eq!(open(store, "b", 1).await, Begun::Done);
    store.sweep(at(SESSION), MANY).await.unwrap();
    assert_eq!(open(store, "c", 1).await, Begun::Done);
}

pub(crate) async fn one_user_has_so_many_sessions(store: &dyn Store) {
    let open = async |id: String, subject| {
        store.open_session(SessionId::of(&id), session(subject, at(0)), MANY).await.unwrap().unwrap()
    };
    for number in 0..MOST_OF_A_USER {
        assert_eq!(open(format!("a{number}"), "a").await, Begun::Done);
    }
    assert_eq!(open("more".into(), "a").await, Begun::TooMany);
    assert_eq!(open("b".into(), "b").await, Begun::Done);
    store.end_session(&SessionId::of("a0")).await.unwrap();
    assert_eq!(open("more".into(), "a").await, Begun::Done);
    assert_eq!(open("yet more".into(), "a").await, Begun::TooMany);
    // Whatever ends them makes room.
    store.revoke(Scope::Subject(ProviderName::new("provider"), Subject::new("a")), at(1)).await.unwrap();
    for _ in 0..4 {
        store.sweep(at(1), MANY).await.unwrap();
    }
    assert_eq!(open("after".into(), "a").await, Begun::Done);
    store.sweep(at(SESSION), MANY).await.unwrap();
    assert_eq!(open("later".into(), "a").await, Begun::Done);
}

pub(crate) async fn attempts_in_a_session_run_out(store: &dyn Store) {
    open(store, "a", MANY).await;
    let attempt = async |now| store.attempt_in_session(&SessionId::of("a"), at(now)).await.unwrap();
    assert!(!attempt(SESSION).await);
    for _ in 0..ATTEMPTS {
        assert!(attempt(1).await);
    }
    assert!(!attempt(1).await);
    assert!(is_open(store, "a", 1).await, "the page can still be read");
}

pub(crate) async fn whoever_revokes_a_user_ends_the_users_sessions(store: &dyn Store) {
    for name in ["a", "b", "c"] {
        open(store, name, MANY).await;
    }
    let subject = |name: &str| Scope::Subject(ProviderName::new("provider"), Subject::new(name));
    store.revoke(subject("a"), at(1)).await.unwrap();
    store.revoke(Scope::Client(ClientId::new("b")), at(1)).await.unwrap();
    let attempt = async |name: &str| store.attempt_in_session(&SessionId::of(name), at(1)).await.unwrap();
    assert!(!is_open(store, "a", 1).await && !attempt("a").await);
    assert!(is_open(store, "b", 1).await && attempt("b").await);
    // A row at a time: what ended it is not forgotten before the session is removed.
    for _ in 0..20 {
        store.sweep(at(1), 1).await.unwrap();
        assert!(!is_open(store, "a", 1).await && is_open(store, "b", 1).await);
    }
    store.revoke(Scope::Everything, at(2)).await.unwrap();
    assert!(!is_open(store, "b", 2).await && !is_open(store, "c", 2).await);
    assert_eq!(open(store, "a", MANY).await, Begun::Done);
    assert!(is_open(store, "a", 2).await, "the user may log in again");
}

pub(crate) async fn a_user_who_is_revoked_before_the_session_opens_has_none(store: &dyn Store) {
    let open = async |name, born| {
        let session = Session { born: Sequence(born), ..session("a", at(0)) };
        store.open_session(SessionId::of(name), session, MANY).await.unwrap()
    };
    let subject = Scope::Subject(ProviderName::new("provider"), Subject::new("a"));
    store.revoke(subject, at(0)).await.unwrap();
    assert_eq!((open("before", 0).await, open("after", 1).await), (None, Some(Begun::Done)));
    assert!(!is_open(store, "before", 1).await && is_open(store, "after", 1).await);
}

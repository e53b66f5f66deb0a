//! What is dead after a revocation, and what is not.

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject};
use portcullis_proto::revocation::Scope;

use super::fixtures::{
    MANY, ROTATION, access_id, answer, at, code, enrol, enrolment, finish, grant, head, is_accepted, is_live,
    issue, redeemed, refresh_id, register, session, token_id,
};
use crate::oauth::enrolment::{Enrolment, EnrolmentId};
use crate::oauth::grant::Grant;
use crate::oauth::pending::BrowserId;
use crate::oauth::session::{Session, SessionId};
use crate::store::lease::Leasing;
use crate::store::{Enrolled, Finish, Granted, Redeemed, Rotated, Store};

/// The scopes that end the grant `<name>`.
fn scopes(name: &str) -> [Scope; 5] {
    grant(name, name, at(0)).revoked_by()
}

pub(crate) async fn a_token_dies_alone(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    let issue = issue("g", "2", Some("g"), at(1));
    let rotated = store.rotate(&refresh_id("g"), issue, answer("2"), ROTATION, at(1)).await.unwrap();
    assert_eq!(rotated, Rotated::Issued);
    store.revoke(Scope::Token(access_id("g")), at(2)).await.unwrap();
    assert!(!is_accepted(store, "g", at(2)).await);
    assert!(is_accepted(store, "2", at(2)).await);
    assert!(is_live(store, "g").await);
}

pub(crate) async fn every_scope_ends_what_it_names_and_nothing_else(store: &dyn Store) {
    redeemed(store, "bystander", at(0)).await;
    for (index, kind) in ["grant", "client", "subject", "server", "everything"].into_iter().enumerate() {
        redeemed(store, kind, at(0)).await;
        assert!(is_live(store, kind).await && is_accepted(store, kind, at(1)).await);
        store.revoke(scopes(kind)[index].clone(), at(1)).await.unwrap();
        assert!(!is_live(store, kind).await, "{kind}");
        assert!(!is_accepted(store, kind, at(1)).await, "{kind}");
        assert_eq!(is_live(store, "bystander").await, kind != "everything", "{kind}");
    }
    // The same user's name at another provider is another user; and so on.
    redeemed(store, "last", at(0)).await;
    for scope in [
        Scope::Subject(ProviderName::new("another"), Subject::new("last")),
        Scope::Client(ClientId::new("server-last")),
        Scope::Server(ServerName::new("last")),
        Scope::Grant(GrantId::new("client")),
        Scope::Token(token_id("last")),
    ] {
        store.revoke(scope, at(2)).await.unwrap();
    }
    assert!(is_live(store, "last").await && is_accepted(store, "last", at(2)).await);
}

pub(crate) async fn what_is_granted_later_is_alive(store: &dyn Store) {
    redeemed(store, "old", at(0)).await;
    for scope in &scopes("old")[1..] {
        store.revoke(scope.clone(), at(1)).await.unwrap();
    }
    assert!(!is_live(store, "old").await);
    // The clock takes no part: the new grant may well look older.
    let grant = grant("new", "old", at(0));
    let code = code(&grant);
    assert_eq!(store.grant(grant, token_id("new"), code).await.unwrap(), Granted::Done);
    let issue = issue("new", "new", None, at(0));
    assert_eq!(store.redeem(&token_id("new"), issue, at(0)).await.unwrap(), Redeemed::Issued);
    assert!(is_live(store, "new").await && is_accepted(store, "new", at(1)).await);
    assert!(!is_live(store, "old").await);
}

pub(crate) async fn what_is_dead_stays_dead_for_every_operation(store: &dyn Store) {
    for (index, kind) in ["grant", "client", "subject", "server", "everything"].into_iter().enumerate() {
        redeemed(store, kind, at(0)).await;
        store.revoke(scopes(kind)[index].clone(), at(1)).await.unwrap();
        let before = head(store);
        let leasing = store.lease(&GrantId::new(kind), 0, at(2), at(3)).await.unwrap();
        assert_eq!(leasing, Leasing::Gone, "{kind}");
        let issue = || issue(kind, "new", Some(kind), at(2));
        let rotated = store.rotate(&refresh_id(kind), issue(), answer("new"), ROTATION, at(2)).await.unwrap();
        assert_eq!(rotated, Rotated::Gone, "{kind}");
        assert_eq!(
            store.redeem(&token_id(kind), issue(), at(2)).await.unwrap(),
            Redeemed::Replayed(None),
            "{kind}"
        );
        assert!(!is_live(store, kind).await && !is_accepted(store, "new", at(2)).await, "{kind}");
        assert_eq!(head(store), before, "{kind}");
    }
}

/// A provider takes its time while the sweeper goes about its work.
pub(crate) async fn t20_what_was_decided_before_a_revocation_is_never_kept_after_it(store: &dyn Store) {
    register(store, "c").await;
    let born = Sequence(head(store));
    let subject = Scope::Subject(ProviderName::new("provider"), Subject::new("c"));
    store.revoke(subject, at(1)).await.unwrap();
    for now in 1..200 {
        store.sweep(at(now), MANY).await.unwrap();
        let early = Grant { born, ..grant("early", "c", at(now)) };
        let granted = store.grant(early.clone(), token_id("early"), code(&early)).await.unwrap();
        assert_eq!(granted, Granted::Gone, "{now}");
        let waiting = Enrolment { grant: early, ..enrolment("early", "c", at(now)) };
        assert_eq!(store.enrol(EnrolmentId::of("early"), waiting, MANY).await.unwrap(), None, "{now}");
        let session = Session { born, ..session("c", at(now)) };
        assert_eq!(store.open_session(SessionId::of("early"), session, MANY).await.unwrap(), None, "{now}");
    }
    let later = Grant { born: Sequence(head(store)), ..grant("later", "c", at(200)) };
    let granted = store.grant(later.clone(), token_id("later"), code(&later)).await.unwrap();
    assert_eq!(granted, Granted::Done, "the user may log in again");
}

/// Users take their time too, and are not revoked by what others are.
pub(crate) async fn what_waits_outlasts_the_revocation_of_another(store: &dyn Store) {
    enrol(store, "e", "e").await;
    store.revoke(Scope::Client(ClientId::new("another")), at(1)).await.unwrap();
    for now in 1..200 {
        store.sweep(at(now), MANY).await.unwrap();
    }
    let (id, browser) = (EnrolmentId::of("e"), BrowserId::of("browser"));
    let born = Sequence(0); // as it was decided
    let finish = finish("e", "e", at(200));
    let finish = Finish { grant: Grant { born, ..finish.grant }, ..finish };
    let finished = store.finish_enrolment(&id, &browser, finish, at(200)).await.unwrap();
    assert_eq!(finished, Enrolled::Done(vec![]));
}

//! Redeeming codes.

use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::revocation::Scope;

use super::fixtures::{
    ACCESS, CODE, REFRESH, access_id, at, granted, head, is_accepted, is_live, issue, parallel, redeemed,
    refresh_id, token_id,
};
use crate::store::{Redeemed, Store};

async fn redeem(store: &dyn Store, name: &str, now: u64) -> Redeemed {
    store.redeem(&token_id(name), issue(name, name, None, at(now)), at(now)).await.unwrap()
}

pub(crate) async fn a_code_brings_its_tokens(store: &dyn Store) {
    store.revoke(Scope::Everything, at(0)).await.unwrap();
    granted(store, "g", at(0)).await;
    store.revoke(Scope::Grant(GrantId::new("another")), at(0)).await.unwrap();
    assert_eq!(redeem(store, "g", 1).await, Redeemed::Issued);
    assert!(store.code(&token_id("g")).await.unwrap().unwrap().used);
    let given = issue("g", "g", None, at(1));
    assert_eq!(store.refresh_token(&refresh_id("g")).await.unwrap(), Some(given.refresh.1));
    let (token, grant) = store.access_token(&access_id("g"), at(1)).await.unwrap().unwrap();
    assert_eq!((token.born, grant.born), (Sequence(2), Sequence(1)));
    assert_eq!(token, crate::oauth::grant::AccessToken { born: Sequence(2), ..given.access.1 });
    assert_eq!(grant.expires_at, at(1 + REFRESH));
    assert_eq!(store.live_grant(&grant.id).await.unwrap(), Some(grant));
}

pub(crate) async fn an_unknown_or_late_code_brings_nothing(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    assert_eq!(redeem(store, "unknown", 1).await, Redeemed::Gone);
    assert_eq!(redeem(store, "g", CODE).await, Redeemed::Gone);
    assert_eq!(store.refresh_token(&refresh_id("g")).await.unwrap(), None);
    assert!(!is_accepted(store, "g", at(CODE)).await);
    assert!(!store.code(&token_id("g")).await.unwrap().unwrap().used);
    assert_eq!(redeem(store, "g", CODE - 1).await, Redeemed::Issued);
}

pub(crate) async fn a_replay_revokes_what_the_code_brought(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    redeemed(store, "other", at(0)).await;
    // Also when it comes late.
    let Redeemed::Replayed(Some(entry)) = redeem(store, "g", CODE + 1).await else { panic!("no replay") };
    assert!(!is_live(store, "g").await);
    assert!(!is_accepted(store, "g", at(1)).await);
    assert!(is_accepted(store, "other", at(1)).await);
    let position = store.base().await.unwrap();
    let entries = store.entries_after(&position, 10).await.unwrap().unwrap();
    assert_eq!(entries, [entry]);
    assert_eq!(entries[0].scope, Scope::Grant(GrantId::new("g")));
    assert_eq!(entries[0].forget_at, at(ACCESS));
}

pub(crate) async fn a_replay_of_a_dead_grants_code_appends_nothing(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    assert!(matches!(redeem(store, "g", 1).await, Redeemed::Replayed(Some(_))));
    assert_eq!(redeem(store, "g", 2).await, Redeemed::Replayed(None));
    assert_eq!(head(store), 1);
    redeemed(store, "h", at(0)).await;
    store.revoke(Scope::Everything, at(3)).await.unwrap();
    assert_eq!(redeem(store, "h", 4).await, Redeemed::Replayed(None));
    assert_eq!(head(store), 2);
}

pub(crate) async fn a_code_of_a_revoked_grant_is_gone(store: &dyn Store) {
    granted(store, "narrow", at(0)).await;
    granted(store, "wide", at(0)).await;
    store.revoke(Scope::Grant(GrantId::new("narrow")), at(1)).await.unwrap();
    store.revoke(Scope::Everything, at(1)).await.unwrap();
    for name in ["narrow", "wide"] {
        assert_eq!(redeem(store, name, 2).await, Redeemed::Gone);
        assert_eq!(store.refresh_token(&refresh_id(name)).await.unwrap(), None);
    }
    assert_eq!(head(store), 2);
}

pub(crate) async fn of_parallel_redemptions_one_is_issued_and_the_grant_dies(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let name = |time| format!("token-{time}");
    let outcomes = parallel(32, async |time| {
        store.redeem(&token_id("g"), issue("g", &name(time), None, at(1)), at(1)).await.unwrap()
    })
    .await;
    let issued = outcomes.iter().filter(|outcome| **outcome == Redeemed::Issued).count();
    let replayed = outcomes.iter().filter(|outcome| matches!(outcome, Redeemed::Replayed(_))).count();
    assert_eq!((issued, replayed), (1, 31));
    assert!(!is_live(store, "g").await);
    assert_eq!(head(store), 1);
    for time in 0..32 {
        assert!(!is_accepted(store, &name(time), at(1)).await);
    }
}

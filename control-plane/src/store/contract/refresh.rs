//! Rotating refresh tokens, and the access tokens beside them.

use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::revocation::Scope;

use super::fixtures::{
    ACCESS, BURST, REFRESH, ROTATION, access_id, answer, at, head, is_accepted, is_live, issue, parallel,
    redeemed, refresh_id,
};
use crate::oauth::refresh::{RefreshToken, Stage};
use crate::store::{Again, Rotated, Store};

/// Presents `refresh-<old>` of the grant `g`, with the tokens `<new>` ready.
async fn rotate(store: &dyn Store, old: &str, new: &str, now: u64) -> Rotated {
    let issue = issue("g", new, Some(old), at(now));
    store.rotate(&refresh_id(old), issue, answer(new), ROTATION, at(now)).await.unwrap()
}

async fn stage(store: &dyn Store, name: &str) -> Option<Stage> {
    store.refresh_token(&refresh_id(name)).await.unwrap().map(|token| token.stage)
}

pub(crate) async fn a_rotation_brings_new_tokens(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    store.revoke(Scope::Grant(GrantId::new("another")), at(0)).await.unwrap();
    assert_eq!(rotate(store, "g", "2", 100).await, Rotated::Issued);
    assert_eq!(stage(store, "g").await, Some(Stage::Rotated { at: at(100), answer: answer("2") }));
    let given = issue("g", "2", Some("g"), at(100));
    let kept = store.refresh_token(&refresh_id("2")).await.unwrap().unwrap();
    assert_eq!(RefreshToken { pace: given.refresh.1.pace, ..kept }, given.refresh.1);
    let (token, grant) = store.access_token(&access_id("2"), at(100)).await.unwrap().unwrap();
    assert_eq!((token.born, token.expires_at), (Sequence(1), at(100 + ACCESS)));
    assert_eq!(grant.expires_at, at(100 + REFRESH));
    // The access token before it lives on: it is short-lived, and requests may be under way with it.
    assert!(is_accepted(store, "g", at(100)).await);
}

pub(crate) async fn a_repeat_within_the_grace_gets_the_first_answer(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    assert_eq!(rotate(store, "g", "2", 100).await, Rotated::Issued);
    assert_eq!(rotate(store, "g", "3", 100).await, Rotated::Repeated(answer("2")));
    assert_eq!(rotate(store, "g", "4", 129).await, Rotated::Repeated(answer("2")));
    for name in ["3", "4"] {
        assert_eq!(stage(store, name).await, None);
        assert!(!is_accepted(store, name, at(129)).await);
    }
    assert_eq!(store.live_grant(&GrantId::new("g")).await.unwrap().unwrap().expires_at, at(100 + REFRESH));
}

pub(crate) async fn reuse_after_the_grace_revokes_the_grant(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    assert_eq!(rotate(store, "g", "2", 100).await, Rotated::Issued);
    let reused = rotate(store, "g", "3", 130).await;
    assert!(
        matches!(&reused, Rotated::Reused(entry) if entry.scope == Scope::Grant(GrantId::new("g"))),
        "{reused:?}"
    );
    assert!(!is_live(store, "g").await);
    assert!(!is_accepted(store, "2", at(130)).await);
    assert_eq!(head(store), 1);
    // What is dead is not revoked again.
    assert_eq!(rotate(store, "g", "3", 131).await, Rotated::Gone);
    assert_eq!(rotate(store, "2", "3", 131).await, Rotated::Gone);
    assert_eq!(head(store), 1);
}

pub(crate) async fn a_superseded_token_has_no_grace(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    assert_eq!(rotate(store, "g", "2", 100).await, Rotated::Issued);
    assert_eq!(rotate(store, "2", "3", 101).await, Rotated::Issued);
    assert_eq!(stage(store, "g").await, Some(Stage::Superseded));
    assert_eq!(stage(store, "2").await, Some(Stage::Rotated { at: at(101), answer: answer("3") }));
    assert!(matches!(rotate(store, "g", "4", 102).await, Rotated::Reused(_)));
    assert!(!is_accepted(store, "3", at(102)).await);
}

pub(crate) async fn an_expired_or_revoked_or_unknown_token_is_gone(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    assert_eq!(rotate(store, "unknown", "2", 1).await, Rotated::Gone);
    assert_eq!(rotate(store, "g", "2", REFRESH).await, Rotated::Gone);
    assert!(is_live(store, "g").await);
    store.revoke(Scope::Everything, at(2)).await.unwrap();
    assert_eq!(rotate(store, "g", "2", 3).await, Rotated::Gone);
    assert_eq!(stage(store, "2").await, None);
    assert_eq!(head(store), 1);
}

pub(crate) async fn parallel_rotations_get_one_answer(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    let name = |time| format!("token-{time}");
    let outcomes = parallel(32, async |time| rotate(store, "g", &name(time), 100).await).await;
    let first = outcomes.iter().position(|outcome| *outcome == Rotated::Issued).unwrap();
    for (time, outcome) in outcomes.iter().enumerate() {
        if time != first {
            assert_eq!(*outcome, Rotated::Repeated(answer(&name(first))));
        }
        assert_eq!(stage(store, &name(time)).await.is_some(), time == first);
    }
    assert!(is_accepted(store, &name(first), at(100)).await);
}

pub(crate) async fn an_access_token_counts_until_it_expires(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    assert!(is_accepted(store, "g", at(ACCESS - 1)).await);
    assert!(!is_accepted(store, "g", at(ACCESS)).await);
    assert!(!is_accepted(store, "unknown", at(0)).await);
}

/// Rotates from `g` on as often as it may be, at one moment; gives the name of the current token.
async fn exhausted(store: &dyn Store, now: u64) -> String {
    redeemed(store, "g", at(now)).await;
    let mut current = "g".to_owned();
    for number in 0..BURST {
        let next = format!("next-{number}");
        assert_eq!(rotate(store, &current, &next, now).await, Rotated::Issued);
        current = next;
    }
    current
}

pub(crate) async fn who_rotates_too_fast_gets_the_last_answer_and_leaves_no_rows(store: &dyn Store) {
    let current = exhausted(store, 0).await;
    for time in [0, 1, 500, 999] {
        for number in 0..20 {
            let again = Again { answer: answer(&current), expires_at: at(ACCESS) };
            assert_eq!(
                rotate(store, &current, "more", time).await,
                Rotated::TooSoon(Some(again)),
                "{number}"
            );
        }
    }
    assert_eq!((stage(store, "more").await, is_accepted(store, "more", at(1)).await), (None, false));
    assert_eq!(stage(store, &current).await, Some(Stage::Current));
    // In time it goes on.
    assert_eq!(rotate(store, &current, "more", 1_000).await, Rotated::Issued);
    assert!(matches!(rotate(store, "more", "much more", 1_001).await, Rotated::TooSoon(Some(_))));
}

pub(crate) async fn the_last_answer_is_not_given_again_where_it_is_of_no_use(store: &dyn Store) {
    let current = exhausted(store, 0).await;
    let mut other = issue("g", "other", Some(&current), at(1));
    other.access.1.scopes = crate::oauth::scope::Scopes::parse("write").unwrap();
    let rotated = store.rotate(&refresh_id(&current), other, answer("other"), ROTATION, at(1)).await.unwrap();
    assert_eq!(rotated, Rotated::TooSoon(None), "other scopes");
    store.revoke(Scope::Token(access_id(&current)), at(1)).await.unwrap();
    assert_eq!(rotate(store, &current, "more", 1).await, Rotated::TooSoon(None), "a token that is revoked");
    assert_eq!(rotate(store, &current, "more", 1_000).await, Rotated::Issued);
}

pub(crate) async fn t21_however_fast_they_follow_each_other_an_old_token_kills_the_grant(store: &dyn Store) {
    let current = exhausted(store, 0).await;
    assert!(matches!(rotate(store, &current, "more", 1).await, Rotated::TooSoon(_)));
    assert!(matches!(rotate(store, "g", "thief", 2).await, Rotated::Reused(_)));
    assert!(!is_live(store, "g").await);
    assert_eq!(rotate(store, &current, "more", 2_000).await, Rotated::Gone);
}

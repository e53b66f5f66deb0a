//! Upkeep.

use std::time::Duration;

use portcullis_proto::ids::{ClientId, GrantId};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;

use super::fixtures::{
    ACCESS, CODE, LOGIN, MANY, REFRESH, ROTATION, UNUSED, answer, at, begin, client, granted, head,
    is_accepted, is_live, issue, pending, redeemed, refresh_id, register, token_id,
};
use crate::oauth::pending::{BrowserId, StateId};
use crate::store::{Begun, Redeemed, Registered, Rotated, Store};

async fn sweep(store: &dyn Store, now: u64) -> usize {
    store.sweep(at(now), MANY).await.unwrap()
}

pub(crate) async fn the_time_is_noted_to_the_minute(store: &dyn Store) {
    assert_eq!(store.swept_at().await.unwrap(), None);
    let noted = async |now| {
        store.sweep(now, MANY).await.unwrap();
        store.swept_at().await.unwrap().unwrap()
    };
    let (start, second) = (Timestamp::from_millis(1_000_000), Duration::from_secs(1));
    assert_eq!(noted(start).await, start);
    assert_eq!(noted(start.after(second * 59)).await, start);
    assert_eq!(noted(start.after(second * 60)).await, start.after(second * 60));
    assert_eq!(noted(start).await, start, "a clock that was set back");
}

pub(crate) async fn nothing_live_is_removed(store: &dyn Store) {
    register(store, "unused").await;
    begin(store, "state", "browser").await;
    granted(store, "waiting", at(0)).await;
    redeemed(store, "g", at(0)).await;
    store.revoke(Scope::Client(ClientId::new("another")), at(0)).await.unwrap();
    sweep(store, CODE - 1).await;
    assert!(store.client(&ClientId::new("unused"), at(1)).await.unwrap().is_some());
    assert!(
        is_live(store, "waiting").await && is_live(store, "g").await && is_accepted(store, "g", at(1)).await
    );
    assert!(store.code(&token_id("waiting")).await.unwrap().is_some());
    let start = store.base().await.unwrap();
    assert_eq!(store.entries_after(&start, MANY).await.unwrap().unwrap().len(), 1);
    let taken = store.take_pending(&StateId::of("state"), &BrowserId::of("browser"), at(1)).await.unwrap();
    assert_eq!(taken, Some(pending("browser")));
    // The clients that somebody has logged in with stay for good, what was redeemed until it expires.
    sweep(store, REFRESH - 1).await;
    assert!(store.client(&ClientId::new("waiting"), at(1)).await.unwrap().is_some());
    assert!(is_live(store, "g").await);
    assert!(store.refresh_token(&refresh_id("g")).await.unwrap().is_some());
}

pub(crate) async fn what_has_expired_is_removed(store: &dyn Store) {
    register(store, "unused").await;
    begin(store, "state", "browser").await;
    granted(store, "waiting", at(0)).await;
    redeemed(store, "g", at(0)).await;
    assert!(sweep(store, CODE).await > 0);
    assert!(!is_live(store, "waiting").await);
    assert_eq!(store.code(&token_id("waiting")).await.unwrap(), None);
    // Asked about a time before, so that only what is stored counts.
    assert!(sweep(store, LOGIN).await > 0);
    let taken = store.take_pending(&StateId::of("state"), &BrowserId::of("browser"), at(1)).await.unwrap();
    assert_eq!(taken, None);
    assert!(sweep(store, UNUSED).await > 0);
    assert_eq!(store.client(&ClientId::new("unused"), at(1)).await.unwrap(), None);
    assert!(sweep(store, ACCESS).await > 0);
    assert!(!is_accepted(store, "g", at(1)).await);
    assert!(sweep(store, REFRESH).await > 0);
    assert_eq!(store.code(&token_id("g")).await.unwrap(), None);
    assert!(!is_live(store, "g").await);
    assert_eq!(store.refresh_token(&refresh_id("g")).await.unwrap(), None);
    assert_eq!(sweep(store, REFRESH).await, 0);
}

pub(crate) async fn room_is_made_in_the_quotas(store: &dyn Store) {
    assert_eq!(store.register(client("a"), 1).await.unwrap(), Registered::Done);
    assert_eq!(store.begin(StateId::of("a"), pending("browser"), 1).await.unwrap(), Begun::Done);
    sweep(store, UNUSED).await;
    for (name, registered, begun) in
        [("b", Registered::Done, Begun::Done), ("c", Registered::InPlaceOf(1), Begun::Full)]
    {
        assert_eq!(store.register(client(name), 1).await.unwrap(), registered);
        assert_eq!(store.begin(StateId::of(name), pending("browser"), 1).await.unwrap(), begun);
    }
}

pub(crate) async fn a_used_code_is_kept_as_long_as_its_grant(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    sweep(store, ACCESS).await;
    // A refresh prolongs the grant.
    let next = issue("g", "2", Some("g"), at(REFRESH - 1));
    store.rotate(&refresh_id("g"), next, answer("2"), ROTATION, at(REFRESH - 1)).await.unwrap();
    for now in [REFRESH - 1, REFRESH, 2 * REFRESH - 2] {
        sweep(store, now).await;
        assert!(store.code(&token_id("g")).await.unwrap().unwrap().used);
    }
    let now = at(2 * REFRESH - 2);
    let replayed = store.redeem(&token_id("g"), issue("g", "3", None, now), now).await.unwrap();
    assert!(matches!(replayed, Redeemed::Replayed(Some(_))), "{replayed:?}");
    assert!(!is_live(store, "g").await);
    sweep(store, 2 * REFRESH).await;
    assert_eq!(store.code(&token_id("g")).await.unwrap(), None);
}

pub(crate) async fn a_dead_grants_code_goes_with_its_access_token(store: &dyn Store) {
    for (name, scope) in
        [("narrow", Scope::Grant(GrantId::new("narrow"))), ("wide", Scope::Client(ClientId::new("wide")))]
    {
        redeemed(store, name, at(0)).await;
        store.revoke(scope, at(1)).await.unwrap();
        sweep(store, ACCESS - 1).await;
        assert!(store.code(&token_id(name)).await.unwrap().is_some());
        sweep(store, ACCESS).await;
        assert_eq!(store.code(&token_id(name)).await.unwrap(), None);
    }
}

pub(crate) async fn a_rotated_token_is_kept_until_it_expires(store: &dyn Store) {
    redeemed(store, "g", at(0)).await;
    let rotate = async |new, now: u64| {
        let issue = issue("g", new, Some("g"), at(now));
        store.rotate(&refresh_id("g"), issue, answer(new), ROTATION, at(now)).await.unwrap()
    };
    assert_eq!(rotate("2", 100).await, Rotated::Issued);
    sweep(store, REFRESH - 1).await;
    assert!(matches!(rotate("3", REFRESH - 1).await, Rotated::Reused(_)));
    assert!(!is_live(store, "g").await);
}

pub(crate) async fn what_a_wide_revocation_ended_is_removed_and_stays_dead(store: &dyn Store) {
    for name in ["b", "c", "d"] {
        redeemed(store, name, at(0)).await;
    }
    store.revoke(Scope::Client(ClientId::new("b")), at(1)).await.unwrap();
    store.revoke(Scope::Everything, at(1)).await.unwrap();
    for name in ["a", "e"] {
        redeemed(store, name, at(1)).await;
    }
    // A row at a time, so that looking through the grants takes many sweeps. When it is past the first one,
    // that one dies too: what ended it must not be forgotten with the rest.
    for _ in 0..3 {
        store.sweep(at(2), 1).await.unwrap();
    }
    store.revoke(Scope::Client(ClientId::new("a")), at(2)).await.unwrap();
    for _ in 0..50 {
        store.sweep(at(2), 1).await.unwrap();
        for name in ["a", "b", "c", "d"] {
            assert!(!is_live(store, name).await && !is_accepted(store, name, at(2)).await, "{name}");
        }
        assert!(is_live(store, "e").await && is_accepted(store, "e", at(2)).await);
    }
    assert_eq!(sweep(store, 2).await, 0);
    assert_eq!(head(store), 3);
}

pub(crate) async fn the_log_is_forgotten_from_the_front(store: &dyn Store) {
    let start = store.base().await.unwrap();
    let revoke =
        async |name: &str, now| store.revoke(Scope::Grant(GrantId::new(name)), at(now)).await.unwrap();
    let first = revoke("a", 1).await;
    let second = revoke("b", 2).await;
    redeemed(store, "g", at(2)).await;
    let third = revoke("c", 3).await;
    sweep(store, 1).await;
    let base = store.base().await.unwrap();
    assert_eq!(base, start.after(&first).unwrap());
    assert_eq!(store.entries_after(&start, MANY).await.unwrap(), None);
    assert_eq!(store.entries_after(&base, MANY).await.unwrap(), Some(vec![second.clone(), third.clone()]));
    // All of it: the head is where it was, and new entries follow it.
    sweep(store, 2 + ACCESS).await;
    let head = base.after(&second).and_then(|position| position.after(&third)).unwrap();
    assert_eq!(store.base().await.unwrap(), head);
    assert_eq!(*store.head().borrow(), head);
    assert_eq!(store.entries_after(&base, MANY).await.unwrap(), None);
    assert_eq!(store.entries_after(&head, MANY).await.unwrap(), Some(vec![]));
    let fourth = revoke("d", 4 + ACCESS).await;
    assert_eq!(store.entries_after(&head, MANY).await.unwrap(), Some(vec![fourth]));
}

pub(crate) async fn it_does_no_more_than_it_may(store: &dyn Store) {
    for number in 0..20 {
        begin(store, &number.to_string(), "browser").await;
    }
    let (mut removed, mut sweeps) = (0, 0);
    loop {
        let count = store.sweep(at(LOGIN), 7).await.unwrap();
        if count == 0 {
            break;
        }
        assert!(count <= 3 * 7);
        removed += count;
        sweeps += 1;
    }
    assert!(removed >= 20 && sweeps > 1, "{removed} rows in {sweeps} sweeps");
}

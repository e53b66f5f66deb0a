//! The lease on replacing what the provider gave.

use portcullis_proto::ids::{ClientId, GrantId};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;

use super::fixtures::{at, granted, head, is_live, parallel, upstream};
use crate::oauth::grant::Upstream;
use crate::oauth::renewal::{Busy, Renewal};
use crate::store::Store;
use crate::store::lease::{Lease, Leasing};

/// Asks at `now` for a lease of 45 seconds on version `version` of the grant `g`.
async fn ask(store: &dyn Store, version: u64, now: u64) -> Leasing {
    store.lease(&GrantId::new("g"), version, at(now), at(now + 45)).await.unwrap()
}

async fn leased(store: &dyn Store, version: u64, now: u64) -> Lease {
    match ask(store, version, now).await {
        Leasing::Leased(lease) => lease,
        other => panic!("{other:?}"),
    }
}

async fn version(store: &dyn Store) -> u64 {
    store.live_grant(&GrantId::new("g")).await.unwrap().unwrap().upstream.version
}

const fn held(until: Timestamp) -> Leasing {
    Leasing::Busy(Busy::Held { until })
}

const fn deferred(until: Timestamp) -> Leasing {
    Leasing::Busy(Busy::Deferred { until })
}

pub(crate) async fn of_parallel_askers_one_gets_the_lease(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let answers = parallel(16, async |_| ask(store, 0, 1).await).await;
    let leased = |answer: &&Leasing| matches!(answer, Leasing::Leased(_));
    assert_eq!(answers.iter().filter(leased).count(), 1);
    assert!(answers.iter().filter(|answer| !leased(answer)).all(|answer| *answer == held(at(46))));
}

pub(crate) async fn only_what_lives_in_that_version_is_leased(store: &dyn Store) {
    let unknown = store.lease(&GrantId::new("unknown"), 0, at(1), at(2)).await.unwrap();
    assert_eq!(unknown, Leasing::Gone);
    granted(store, "g", at(0)).await;
    assert_eq!(ask(store, 1, 1).await, Leasing::Overtaken);
    let lease = leased(store, 0, 1).await;
    assert!(store.update_upstream(lease, upstream(1)).await.unwrap());
    assert_eq!(ask(store, 0, 2).await, Leasing::Overtaken);
    store.revoke(Scope::Client(ClientId::new("g")), at(2)).await.unwrap();
    assert_eq!(ask(store, 1, 3).await, Leasing::Gone);
}

pub(crate) async fn a_result_replaces_the_version_and_ends_lease_and_pauses(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let first = leased(store, 0, 1).await;
    assert!(store.defer(first, at(10)).await.unwrap());
    let second = leased(store, 0, 10).await;
    assert_eq!(second.attempt(), 2);
    let renewal = Renewal::default().begin(at(0), at(1_000)).unwrap();
    let result = Upstream { version: 7, renewal, ..upstream(1) };
    assert!(store.update_upstream(second, result).await.unwrap());
    let grant = store.live_grant(&GrantId::new("g")).await.unwrap().unwrap();
    assert_eq!(grant.upstream, upstream(1));
    assert_eq!(leased(store, 1, 10).await.attempt(), 1, "counted anew");
}

pub(crate) async fn a_failure_defers_the_next_attempt(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    for (attempt, now) in [(1, 1), (2, 100), (3, 1_000)] {
        let lease = leased(store, 0, now).await;
        assert_eq!(lease.attempt(), attempt);
        assert!(store.defer(lease, at(now + 50)).await.unwrap());
        assert_eq!(ask(store, 0, now + 49).await, deferred(at(now + 50)));
    }
    assert_eq!(version(store).await, 0);
}

pub(crate) async fn a_lease_that_nobody_ends_runs_out(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    leased(store, 0, 1).await;
    assert_eq!(ask(store, 0, 45).await, held(at(46)));
    assert_eq!(leased(store, 0, 46).await.attempt(), 2);
    assert_eq!(ask(store, 0, 90).await, held(at(91)));
}

pub(crate) async fn who_was_taken_over_ends_nothing(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let (late, later) = (leased(store, 0, 0).await, leased(store, 0, 45).await);
    assert!(!store.defer(late, at(1_000)).await.unwrap());
    assert_eq!(ask(store, 0, 46).await, held(at(90)));
    let last = leased(store, 0, 90).await;
    assert_eq!(store.revoke_leased(later, at(91)).await.unwrap(), None);
    assert!(is_live(store, "g").await);
    assert_eq!(head(store), 0);
    // Nobody has taken over from this one, however late it is.
    assert!(store.defer(last, at(1_000)).await.unwrap());
}

pub(crate) async fn a_late_result_does_not_replace_its_successors(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let (late, successor) = (leased(store, 0, 0).await, leased(store, 0, 45).await);
    assert!(store.update_upstream(successor, upstream(1)).await.unwrap());
    let stored = store.live_grant(&GrantId::new("g")).await.unwrap();
    let result = Upstream { credential_expires_at: None, ..upstream(1) };
    assert!(!store.update_upstream(late, result).await.unwrap());
    assert_eq!(store.live_grant(&GrantId::new("g")).await.unwrap(), stored);
}

pub(crate) async fn a_late_result_counts_where_there_is_no_other(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let (late, successor) = (leased(store, 0, 0).await, leased(store, 0, 45).await);
    assert!(store.update_upstream(late, upstream(1)).await.unwrap());
    // The successor showed the same refresh token; what it hears of that says nothing of the new one.
    assert_eq!(store.revoke_leased(successor, at(46)).await.unwrap(), None);
    assert_eq!(version(store).await, 1);
}

pub(crate) async fn the_holder_may_revoke_once(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let lease = leased(store, 0, 0).await;
    let entry = store.revoke_leased(lease, at(1)).await.unwrap().unwrap();
    assert_eq!(entry.scope, Scope::Grant(GrantId::new("g")));
    assert!(!is_live(store, "g").await);
    assert_eq!(ask(store, 0, 1).await, Leasing::Gone);
    assert_eq!(head(store), 1);
}

pub(crate) async fn a_revoked_grant_takes_no_result(store: &dyn Store) {
    for (number, scope) in [Scope::Grant(GrantId::new("g")), Scope::Everything].into_iter().enumerate() {
        granted(store, "g", at(0)).await;
        let lease = leased(store, 0, 0).await;
        store.revoke(scope, at(1)).await.unwrap();
        assert!(!store.update_upstream(lease, upstream(1)).await.unwrap(), "{number}");
        assert!(!is_live(store, "g").await);
    }
    granted(store, "g2", at(0)).await;
    let Leasing::Leased(lease) = store.lease(&GrantId::new("g2"), 0, at(1), at(46)).await.unwrap() else {
        panic!("not leased")
    };
    store.revoke(Scope::Everything, at(1)).await.unwrap();
    assert_eq!(store.keep_upstream(lease, upstream(1), at(46)).await.unwrap(), None);
}

// === what is kept while the attempt goes on ===

async fn kept(store: &dyn Store, lease: Lease, version: u64, until: u64) -> Option<Lease> {
    store.keep_upstream(lease, upstream(version), at(until)).await.unwrap()
}

pub(crate) async fn what_is_kept_replaces_the_version_and_the_attempt_goes_on(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let first = leased(store, 0, 1).await;
    assert!(store.defer(first, at(10)).await.unwrap());
    let second = leased(store, 0, 10).await;
    let on = kept(store, second, 1, 30).await.unwrap();
    assert_eq!(on.attempt(), 2, "the same");
    let stored = store.live_grant(&GrantId::new("g")).await.unwrap().unwrap().upstream;
    assert_eq!(Upstream { renewal: Renewal::default(), ..stored }, upstream(1));
    assert_eq!(ask(store, 0, 11).await, Leasing::Overtaken);
    assert_eq!(ask(store, 1, 29).await, held(at(30)));
    // It fails, and is tried again; that is the third attempt, whatever has been kept.
    assert!(store.defer(on, at(50)).await.unwrap());
    assert_eq!(ask(store, 1, 49).await, deferred(at(50)));
    let third = leased(store, 1, 50).await;
    assert_eq!(third.attempt(), 3);
    let on = kept(store, third, 2, 70).await.unwrap();
    assert!(store.update_upstream(on, upstream(3)).await.unwrap());
    assert_eq!(store.live_grant(&GrantId::new("g")).await.unwrap().unwrap().upstream, upstream(3));

    let last = leased(store, 3, 60).await;
    let on = kept(store, last, 4, 70).await.unwrap();
    assert!(store.revoke_leased(on, at(61)).await.unwrap().is_some());
    assert!(!is_live(store, "g").await);
}

pub(crate) async fn what_is_kept_late_does_not_replace_its_successors(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let (late, successor) = (leased(store, 0, 0).await, leased(store, 0, 45).await);
    let on = kept(store, successor, 1, 90).await.unwrap();
    let stored = store.live_grant(&GrantId::new("g")).await.unwrap();
    assert_eq!(kept(store, late, 1, 1_000).await, None);
    assert_eq!(store.live_grant(&GrantId::new("g")).await.unwrap(), stored);
    assert!(store.update_upstream(on, upstream(2)).await.unwrap());
}

pub(crate) async fn what_is_kept_late_leaves_the_successor_with_nothing(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let (late, successor) = (leased(store, 0, 0).await, leased(store, 0, 45).await);
    let on = kept(store, late, 1, 90).await.unwrap();
    assert_eq!(ask(store, 1, 89).await, held(at(90)));
    // Which showed the same refresh token: what it hears of that says nothing of the new one.
    assert_eq!(store.revoke_leased(successor, at(46)).await.unwrap(), None);
    assert!(store.update_upstream(on, upstream(2)).await.unwrap());
}

pub(crate) async fn a_kept_lease_runs_out_and_is_taken_over(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let lease = leased(store, 0, 0).await;
    let late = kept(store, lease, 1, 20).await.unwrap();
    let successor = leased(store, 1, 20).await;
    assert_eq!(successor.attempt(), 2);
    assert_eq!(store.revoke_leased(late, at(21)).await.unwrap(), None);
    assert!(store.update_upstream(successor, upstream(2)).await.unwrap());
    assert!(is_live(store, "g").await);
}

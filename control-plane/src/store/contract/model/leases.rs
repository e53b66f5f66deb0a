//! Leases: taken, and ended in one way or another.

use std::time::Duration;

use portcullis_proto::ids::GrantId;
use portcullis_proto::time::Timestamp;

use super::memory::Memory;
use super::{Made, pick};
use crate::store::Store;
use crate::store::contract::fixtures::upstream;
use crate::store::lease::Leasing;

/// So short that many a lease is taken over.
const LIFE: Duration = Duration::from_secs(5);

/// What the holder of a lease says. After `Keep` it goes on holding it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Update,
    Keep,
    Defer,
    Revoke,
}

pub(super) async fn take(
    store: &dyn Store,
    memory: &mut Memory,
    made: &mut Made,
    grant: usize,
    version: u64,
    now: Timestamp,
) {
    let id = GrantId::new(format!("g{}", pick(grant, made.grants)));
    let until = now.after(LIFE);
    let leasing = store.lease(&id, version, now, until).await.unwrap();
    let expected = memory.lease(&id, version, now, until);
    assert_eq!(leasing, expected, "{id} {version}");
    if let (Leasing::Leased(lease), Leasing::Leased(copy)) = (leasing, expected) {
        made.leases.push((lease, copy));
    }
}

pub(super) async fn end(
    store: &dyn Store,
    memory: &mut Memory,
    made: &mut Made,
    lease: usize,
    how: Ending,
    now: Timestamp,
) {
    if made.leases.is_empty() {
        return;
    }
    let (lease, copy) = made.leases.remove(pick(lease, made.leases.len()));
    match how {
        Ending::Update => {
            let next = upstream(copy.version + 1);
            let updated = store.update_upstream(lease, next.clone()).await.unwrap();
            assert_eq!(updated, memory.update_upstream(&copy, next), "{copy:?}");
        }
        Ending::Keep => {
            let (next, until) = (upstream(copy.version + 1), now.after(LIFE));
            let kept = store.keep_upstream(lease, next.clone(), until).await.unwrap();
            let expected = memory.keep_upstream(&copy, next, until);
            assert_eq!(kept, expected, "{copy:?}");
            made.leases.extend(kept.zip(expected));
        }
        Ending::Defer => {
            let until = now.after(LIFE);
            assert_eq!(store.defer(lease, until).await.unwrap(), memory.defer(&copy, until), "{copy:?}");
        }
        Ending::Revoke => {
            let revoked = store.revoke_leased(lease, now).await.unwrap();
            assert_eq!(revoked, memory.revoke_leased(copy, now));
        }
    }
}

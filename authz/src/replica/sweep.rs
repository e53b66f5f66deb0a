//! Removes what is dead, a bounded number of rows at a time.

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::belief::Belief;
use portcullis_proto::time::{Clock, Timestamp};
use tokio::time::{Instant, sleep, timeout};

use super::Replica;
use super::store::{Generation, StoreError, Sweep};

/// Between two passes over the store, unless it is full: a pass looks at every record.
const PASS_EVERY: Duration = Duration::from_mins(5);
/// Between two passes over a full store, at least.
const PASS_PAUSE: Duration = Duration::from_secs(1);
/// And so many times as long as the last pass took: a store that stays full is not looked through without end.
const PASS_REST: u32 = 9;
/// Between two steps of a pass.
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// The same in the first pass after a start: what is not in memory before it comes by costs a request several times as much.
const FIRST_STEP_PAUSE: Duration = Duration::from_millis(1);

/// Sweeps for ever: as soon as the replica is current, so that what it has is in memory before long, and then every few
/// minutes. Returns only when the store takes no more writes.
pub async fn run(replica: Arc<Replica>, clock: Arc<dyn Clock>) -> StoreError {
    let mut belief = Belief::new(clock.now(), Instant::now().into_std());
    let mut pause = FIRST_STEP_PAUSE;
    loop {
        let (now, began) = (clock.now(), Instant::now());
        let cutoff = belief.update(now, began.into_std());
        // Only by a time that the control plane has agreed with: after a start, this machine's clock may be anywhere.
        if replica.ready(now).is_err() {
            sleep(PASS_PAUSE).await;
            continue;
        }
        if let Err(error) = pass(&replica, cutoff, pause).await {
            return error;
        }
        pause = STEP_PAUSE;
        sleep(PASS_PAUSE.max(began.elapsed() * PASS_REST)).await;
        let _ = timeout(PASS_EVERY, replica.store().full()).await;
    }
}

/// Removes every record that had expired at `cutoff`, and only then the revocations that could have hit
/// nothing else: a clock that jumps forward and back again brings no revoked token to life. Nor does an answer
/// that was on its way meanwhile: where it had expired at `cutoff`, it is neither stored nor followed.
async fn pass(replica: &Replica, cutoff: Timestamp, pause: Duration) -> Result<(), StoreError> {
    let mut pass = Pass::begin(replica, cutoff);
    while pass.step(replica).await? {
        sleep(pause).await;
    }
    Ok(())
}

/// A pass, between two of its steps. It is over when the replica starts over: what is there then has its own life, which
/// this pass's cutoff may lie behind.
#[derive(Debug)]
pub(super) struct Pass {
    generation: Generation,
    cutoff: Timestamp,
    what: Sweep,
    after: Option<Vec<u8>>,
}

// === impl Pass ===

impl Pass {
    /// Makes nothing go yet.
    pub(super) fn begin(replica: &Replica, cutoff: Timestamp) -> Self {
        Self { generation: replica.begin_sweep(cutoff), cutoff, what: Sweep::Records, after: None }
    }

    /// Removes some. Whether there is more to do.
    pub(super) async fn step(&mut self, replica: &Replica) -> Result<bool, StoreError> {
        let Self { generation, cutoff, what, .. } = *self;
        let swept = replica.store().sweep(generation, what, cutoff, self.after.take()).await?;
        if !replica.forget(generation, &swept.forgotten, cutoff) {
            return Ok(false);
        }
        self.after = swept.next;
        if self.after.is_some() {
            return Ok(true);
        }
        replica.cool();
        self.what = Sweep::Entries;
        Ok(matches!(what, Sweep::Records))
    }
}

#[cfg(test)]
mod tests {
    use portcullis_proto::ids::{Epoch, Sequence};
    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::record::TokenRecord;
    use portcullis_proto::revocation::{Entry, Position, Scope};
    use tempfile::TempDir;

    use super::*;
    use crate::replica::store::Store;
    use crate::testing::{record, server};

    /// A replica with a token that was revoked, and its tombstone; both are of use until 3601 s.
    async fn replica(directory: &TempDir) -> Replica {
        let (store, loaded) = Store::open(directory.path(), 1000).unwrap();
        let replica = Replica::new(store, &loaded, PASS_EVERY, &SystemRandom);
        let start = Position::start(Epoch([1; 16]));
        let entry = Entry {
            sequence: Sequence(1),
            at: record().issued_at,
            forget_at: record().expires_at,
            scope: Scope::Token(record().token),
        };
        replica.start_over(start, &SystemRandom).await.unwrap();
        replica.append(std::slice::from_ref(&entry), start.after(&entry).unwrap()).await.unwrap();
        let born = record().born.min(entry.sequence);
        replica.learn(replica.question(), TokenRecord { born, ..record() });
        replica
    }

    #[tokio::test]
    async fn a_tombstone_goes_when_what_it_hits_has_expired_and_not_before() {
        let directory = TempDir::new().unwrap();
        let replica = replica(&directory).await;
        pass(&replica, Timestamp::from_millis(3_600_999), STEP_PAUSE).await.unwrap();
        assert_eq!(
            (replica.figures(Timestamp::default()).records, replica.figures(Timestamp::default()).tombstones),
            (1, 1)
        );
        pass(&replica, Timestamp::from_millis(3_601_000), STEP_PAUSE).await.unwrap();
        assert_eq!(
            (replica.figures(Timestamp::default()).records, replica.figures(Timestamp::default()).tombstones),
            (0, 0)
        );
    }

    /// A clock that jumped ahead has the tombstone swept; when it is put right, the token is alive again
    /// by its expiry, and must not be there.
    #[tokio::test]
    async fn t34_a_clock_that_jumps_ahead_and_back_brings_no_revoked_token_to_life() {
        let directory = TempDir::new().unwrap();
        let replica = replica(&directory).await;
        pass(&replica, Timestamp::from_millis(u64::MAX), STEP_PAUSE).await.unwrap();
        assert_eq!(replica.figures(Timestamp::default()).tombstones, 0);
        let known = replica.resident(record().token).unwrap();
        assert!(known.is_none(), "{:?}", known.map(|known| TokenRecord::clone(&known.record)));
    }

    /// Until it has started over it answers 503 for what the sweep could have touched: that must not last for as long as the
    /// clock was ahead.
    #[tokio::test]
    async fn t34_a_sweep_by_a_clock_that_was_ahead_is_noticed_and_starting_over_heals() {
        let directory = TempDir::new().unwrap();
        let replica = replica(&directory).await;
        let (now, year) = (record().issued_at, Duration::from_hours(365 * 24));
        assert!(!replica.swept_ahead_of(now));
        pass(&replica, now.after(year), STEP_PAUSE).await.unwrap();
        assert!(replica.swept_ahead_of(now));
        replica.start_over(Position::start(Epoch([1; 16])), &SystemRandom).await.unwrap();
        assert!(!replica.swept_ahead_of(now));
        let known = replica.learn(replica.question(), TokenRecord { born: Sequence(0), ..record() });
        assert!(replica.judge(&server(), &known, now).is_ok());
    }

    /// The entries came behind the control plane's "start over", the sweep had begun before it, by a clock that was ahead.
    #[tokio::test]
    async fn t32_starting_over_during_a_sweep_forgets_no_revocation() {
        for cutoff in [record().issued_at, record().expires_at] {
            let directory = TempDir::new().unwrap();
            let replica = replica(&directory).await;
            let start = Position::start(Epoch([2; 16]));
            let entry = Entry {
                sequence: Sequence(1),
                at: record().issued_at,
                forget_at: record().expires_at,
                scope: Scope::Everything,
            };
            let mut pass = Pass::begin(&replica, cutoff);
            assert!(pass.step(&replica).await.unwrap());
            replica.start_over(start, &SystemRandom).await.unwrap();
            replica.append(std::slice::from_ref(&entry), start.after(&entry).unwrap()).await.unwrap();
            while pass.step(&replica).await.unwrap() {}

            let known = replica.learn(replica.question(), TokenRecord { born: Sequence(0), ..record() });
            let denial = replica.judge(&server(), &known, record().issued_at).unwrap_err();
            assert_eq!(denial.reason(), "revoked");
            replica.store().close().await;
            drop(replica);
            let (_, loaded) = Store::open(directory.path(), 1000).unwrap();
            assert_eq!(loaded.position.map(|(_, position)| position), start.after(&entry));
            assert_eq!(loaded.entries, [entry]);
        }
    }

    /// A step that was asked for before the replica started over is answered behind it.
    #[tokio::test]
    async fn t32_starting_over_during_a_step_of_a_sweep_forgets_no_revocation() {
        let directory = TempDir::new().unwrap();
        let replica = replica(&directory).await;
        let start = Position::start(Epoch([2; 16]));
        let entry = Entry {
            sequence: Sequence(1),
            at: record().issued_at,
            forget_at: record().expires_at,
            scope: Scope::Token(record().token), // as the one before
        };
        let mut pass = Pass::begin(&replica, record().expires_at);
        assert!(pass.step(&replica).await.unwrap());
        let start_over = async {
            replica.start_over(start, &SystemRandom).await.unwrap();
            replica.append(std::slice::from_ref(&entry), start.after(&entry).unwrap()).await.unwrap();
        };
        let (swept, ()) = tokio::join!(pass.step(&replica), start_over);
        assert!(!swept.unwrap());
        assert_eq!(replica.figures(Timestamp::default()).tombstones, 1);
    }
}

//! Removes what is dead, a bounded number of rows at a time.

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::time::{Clock, Timestamp};
use tokio::time::{sleep, timeout};

use super::Replica;
use super::store::{StoreError, Sweep};

/// Between two passes over the store, unless it is full.
const PASS_EVERY: Duration = Duration::from_secs(30);
/// Between two passes over a full store, at least.
const PASS_PAUSE: Duration = Duration::from_secs(1);
/// Between two steps of a pass.
const STEP_PAUSE: Duration = Duration::from_millis(20);

/// Sweeps for ever. Returns only when the store takes no more writes.
pub async fn run(replica: Arc<Replica>, clock: Arc<dyn Clock>) -> StoreError {
    loop {
        if let Err(error) = pass(&replica, clock.now()).await {
            return error;
        }
        sleep(PASS_PAUSE).await;
        let _ = timeout(PASS_EVERY, replica.store().full()).await;
    }
}

/// Removes every record that had expired at `cutoff`, and only then the revocations that could have hit
/// nothing else: a clock that jumps forward and back again brings no revoked token to life.
async fn pass(replica: &Replica, cutoff: Timestamp) -> Result<(), StoreError> {
    let generation = replica.generation();
    for what in [Sweep::Records, Sweep::Entries] {
        let mut after = None;
        loop {
            let swept = replica.store().sweep(what, generation, cutoff, after).await?;
            replica.forget(&swept.forgotten, cutoff);
            after = swept.next;
            if after.is_none() {
                break;
            }
            sleep(STEP_PAUSE).await;
        }
    }
    Ok(())
}

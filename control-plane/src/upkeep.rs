//! Removes what has expired, so that disk use follows what is alive; and turns the signing keys over.

use std::time::Duration;

use portcullis_proto::belief::Belief;
use portcullis_proto::time::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::StoreError;

/// How often rows are removed that can mean nothing any more.
const EVERY: Duration = Duration::from_secs(5);
/// How often, while there are more than go at a time.
const SOON: Duration = Duration::from_millis(100);
/// How many of them at a time.
const BATCH: usize = 5_000;

/// Sweeps until `shutdown`. Ends with an error when the store has closed after a failure: then only a new process
/// helps.
pub async fn run(app: &App, shutdown: &CancellationToken) -> Result<(), StoreError> {
    let mut every = tokio::time::interval(EVERY);
    let begin = app.store.swept_at().await?.unwrap_or(app.now());
    let mut belief = Belief::new(begin, Instant::now().into_std());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = every.tick() => {}
        }
        let now = believed(&mut belief, app.now());
        turn_keys(app, now);
        match app.store.sweep(now, BATCH).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::debug!(rows, "swept");
                if rows >= BATCH {
                    every.reset_after(SOON); // there is more
                }
            }
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => tracing::error!(%error, "sweeping failed"),
        }
    }
}

/// By the time that is believed: a key that is forgotten does not come back when a clock is put right.
fn turn_keys(app: &App, now: Timestamp) {
    match app.signer.as_ref().map(|signer| signer.turn(now, Instant::now().into_std())).transpose() {
        Ok(turn) => {
            if let Some(turn) = turn.flatten() {
                tracing::info!(?turn, "signing keys turned");
            }
        }
        Err(error) => tracing::error!(%error, "the signing keys cannot be written: they stay as they are"),
    }
}

fn believed(belief: &mut Belief, wall: Timestamp) -> Timestamp {
    let doubted = belief.doubts();
    let now = belief.update(wall, Instant::now().into_std());
    if belief.doubts() && !doubted {
        let seconds = wall.since(now).as_secs();
        tracing::warn!(
            seconds,
            "the clock is ahead of the time that has passed: what has expired only by that stays for an hour"
        );
    }
    now
}

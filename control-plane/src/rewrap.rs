//! Brings what is sealed under older master keys under the current one, in the background.
//!
//! Row by row, each by a conditional write of the store: where a row has changed meanwhile, that stands, and the next
//! pass looks again. Nothing is kept about how far it is: a row says itself which key it hangs on, so a process that was
//! killed goes on where it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::keys::Wrapped;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, WrappedRow};

/// Rows that are looked at at a time, and changed at most: they share a flush of the store.
const STEP: usize = 256;
/// Rest after a step that has changed something, so that requests come first.
const PAUSE: Duration = Duration::from_millis(10);
/// How often is looked again while there are older keys: requests that began under one may have written since.
const AGAIN: Duration = Duration::from_mins(10);
/// The same, where the store did not answer.
const SOON: Duration = Duration::from_secs(10);

/// How many rows hang on each master key.
pub type Usage = BTreeMap<String, u64>;

/// Counts all rows, by the key that they hang on. Reads all of them.
pub async fn usage(store: &dyn Store) -> Result<Usage, StoreError> {
    const PAGE: usize = 1_000;
    let (mut usage, mut after) = (Usage::new(), None);
    loop {
        let page = store.wrapped(after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(usage) };
        after = Some(last.clone());
        for (_, wrapped) in page {
            *usage.entry(wrapped.master_key).or_default() += 1;
        }
    }
}

/// Works until `shutdown`.
pub async fn run(app: &App, shutdown: &CancellationToken) {
    let work = async {
        loop {
            let next = if app.keys.list().len() > 1 { catch_up(app).await } else { None };
            match next {
                Some(pause) => tokio::select! {
                    () = app.keys.rotated() => {}
                    () = sleep(pause) => {}
                },
                None => app.keys.rotated().await,
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// Passes, until one has found nothing to do. When to look again.
async fn catch_up(app: &App) -> Option<Duration> {
    let mut changed = 0;
    loop {
        match pass(app).await {
            Ok(Pass { done: 0, overtaken: 0, failed }) => {
                if changed > 0 {
                    tracing::info!(rows = changed, failed, "sealed under the current master key");
                }
                return Some(AGAIN);
            }
            Ok(pass) => changed += pass.done,
            Err(StoreError::Closed) => return None, // only a new process helps, and goes on
            Err(error) => {
                tracing::error!(%error, "not everything is under the current master key yet");
                return Some(SOON);
            }
        }
    }
}

/// What became of the rows that hung on another key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) done: u64,
    pub(crate) overtaken: u64,
    pub(crate) failed: u64,
}

/// Goes through all rows once.
pub(crate) async fn pass(app: &App) -> Result<Pass, StoreError> {
    let behind = behind(app, &usage(app.store.as_ref()).await?);
    app.metrics.master_key_rows_behind.set(behind);
    let (mut pass, mut after) = (Pass::default(), None);
    if behind == 0 {
        return Ok(pass);
    }
    loop {
        let rows = app.store.wrapped(after.as_ref(), STEP).await?;
        let Some((last, _)) = rows.last() else { return Ok(pass) };
        after = Some(last.clone());
        let before = pass;
        step(app, rows, &mut pass).await?;
        if pass != before {
            sleep(PAUSE).await;
        }
    }
}

/// How many rows hang on another key than the current one.
fn behind(app: &App, usage: &Usage) -> i64 {
    let current = app.keys.current();
    let rows = usage.iter().filter(|(id, _)| **id != current).map(|(_, rows)| rows).sum::<u64>();
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Those of these rows that hang on another key, all at once.
async fn step(app: &App, rows: Vec<(WrappedRow, Wrapped)>, pass: &mut Pass) -> Result<(), StoreError> {
    let current = app.keys.current();
    let mut writes = JoinSet::new();
    for (row, from) in rows.into_iter().filter(|(_, wrapped)| wrapped.master_key != current) {
        match app.keys.rewrap(app.random.as_ref(), &row, row.field(), &from) {
            Ok(to) => {
                let store = Arc::clone(&app.store);
                writes.spawn(async move { store.rewrap(row, from, to).await });
            }
            Err(error) => {
                pass.failed += 1;
                Metrics::count(&app.metrics.rewrapped, "failed");
                tracing::error!(?row, master_key = from.master_key, %error, "stays under its old master key");
            }
        }
    }
    while let Some(written) = writes.join_next().await {
        if written.map_err(|error| StoreError::Backend(error.to_string()))?? {
            pass.done += 1;
            app.metrics.master_key_rows_behind.dec();
            Metrics::count(&app.metrics.rewrapped, "done");
        } else {
            pass.overtaken += 1;
            Metrics::count(&app.metrics.rewrapped, "overtaken");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

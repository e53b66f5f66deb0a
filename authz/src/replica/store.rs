//! What an instance keeps on disk: resolved records, and the revocation log's live entries with the
//! position up to which they are complete.
//!
//! Everything here can be had again from the control plane, so a store that cannot be read is thrown away
//! rather than repaired. Reads go to the [`index`] and, for what is not there yet, straight to sled; every write
//! goes through one thread, the [`committer`], because only that discipline survives a power cut (sled's `flush`
//! alone does not).

mod committer;
mod index;
mod layout;
mod open;
mod record;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_proto::ids::{Sequence, TokenId};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::time::Timestamp;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use committer::Command;
use index::Index;
pub use layout::Generation;
pub use open::{Loaded, OpenError};

/// The open store.
#[derive(Debug)]
pub struct Store {
    records: sled::Tree,
    index: Arc<Index>,
    commands: mpsc::Sender<Command>,
    durable: watch::Receiver<Durable>,
    count: Arc<AtomicUsize>,
    full: Arc<Notify>,
    failed: CancellationToken,
    /// Keeps other processes out until nobody holds the database any more.
    _lock: Arc<File>,
    #[cfg(test)]
    reads_fail: std::sync::atomic::AtomicBool,
}

/// A place in the queue of writes: what is written there does not get lost on the way.
#[derive(Debug)]
pub struct Place<'a>(mpsc::Permit<'a, Command>);

/// Up to where the revocation log is durable; `None` where there is no position yet.
pub type Durable = Option<(Generation, Sequence)>;

/// What one step of a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    /// Where the next step begins; `None` when the sweep is complete.
    pub next: Option<Vec<u8>>,
    /// Revocation entries that were removed.
    pub forgotten: Vec<Scope>,
}

/// What a sweep removes.
#[derive(Clone, Copy, Debug)]
pub enum Sweep {
    /// Records that have expired.
    Records,
    /// Revocation entries that can hit nothing any more.
    Entries,
}

/// The store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Reading failed.
    #[error("the store cannot be read: {0}")]
    Read(String),
    /// A write failed earlier, and the committer has stopped.
    #[error("the store does not take writes any more")]
    Stopped,
}

// === impl Store ===

impl Store {
    /// The record of a token, and the generation that it belongs to.
    pub fn get(&self, id: &TokenId) -> Result<Option<(Generation, TokenRecord)>, StoreError> {
        #[cfg(test)]
        if self.reads_fail.load(Ordering::Relaxed) {
            return Err(StoreError::Read("injected".to_owned()));
        }
        let value = match self.index.get(id) {
            Some(value) => Some(value),
            None => self.records.get(id.as_bytes()).map_err(|error| StoreError::Read(error.to_string()))?,
        };
        let Some(value) = value else { return Ok(None) };
        let record = layout::decode_record(value);
        if record.is_none() {
            warn!(token = ?id, "a stored record does not decode: asking for it again");
        }
        Ok(record)
    }

    /// Has reads fail from now on, or not.
    #[cfg(test)]
    pub(super) fn fail_reads(&self, fail: bool) {
        self.reads_fail.store(fail, Ordering::Relaxed);
    }

    /// Keeps a record, unless the store is full or too busy: it can be resolved again.
    pub fn put(&self, generation: Generation, record: TokenRecord) {
        let id = record.token;
        let value = layout::encode_record(generation, record);
        let _ = self.commands.try_send(Command::Record { id, value });
    }

    /// Waits for a place in the queue of writes.
    pub async fn place(&self) -> Result<Place<'_>, StoreError> {
        self.commands.reserve().await.map(Place).map_err(|_| StoreError::Stopped)
    }

    /// Does a bounded part of a sweep: removes what was dead at `cutoff`, or is of another generation than this
    /// one. Nothing, where this is not the log's generation (any more).
    pub async fn sweep(
        &self,
        generation: Generation,
        what: Sweep,
        cutoff: Timestamp,
        after: Option<Vec<u8>>,
    ) -> Result<Swept, StoreError> {
        let (answer, swept) = oneshot::channel();
        let command = Command::Sweep { generation, what, cutoff, after, answer };
        self.commands.send(command).await.map_err(|_| StoreError::Stopped)?;
        swept.await.map_err(|_| StoreError::Stopped)
    }

    /// Up to where the log is durable, as it changes.
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until a record is refused because there are too many.
    pub async fn full(&self) {
        self.full.notified().await;
    }

    /// Waits until a write has failed. The log says why.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Makes everything durable that was written before, and takes no more writes.
    pub async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.commands.send(Command::Close(answer)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

// === impl Place ===

impl Place<'_> {
    /// Adds entries to the log, and moves its position behind them, in one step. [`Store::durable`] tells when
    /// that is on disk.
    pub fn append(self, generation: Generation, entries: &[Entry], position: Position) {
        let entries = entries.iter().map(|entry| layout::encode_entry(generation, entry)).collect();
        self.0.send(Command::Log { generation, entries, position });
    }
}

#[cfg(test)]
mod tests;

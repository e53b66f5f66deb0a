//! The one thread that writes.
//!
//! It takes what has queued up, writes it in one batch, and lets nobody know before the batch is on the
//! disk: `flush` hands sled's log to the kernel, and only `fdatasync` hands it to the disk.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_proto::ids::TokenId;
use portcullis_proto::revocation::Position;
use portcullis_proto::time::Timestamp;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::index::Index;
use super::layout::{self, Generation};
use super::{Durable, Sweep, Swept};

/// Commands in one batch, at most.
const BATCH: usize = 512;
/// Commands in the queue, at most.
pub(super) const QUEUE: usize = 4096;
/// Rows that one step of a sweep reads, at most.
const STEP: usize = 1000;

/// What the committer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Keep a record, where there is room.
    Record { id: TokenId, value: Vec<u8> },
    /// Add entries to the log and move its position.
    Log { generation: Generation, entries: Vec<(Vec<u8>, Vec<u8>)>, position: Position },
    /// Remove some of what is dead.
    Sweep {
        generation: Generation,
        what: Sweep,
        cutoff: Timestamp,
        after: Option<Vec<u8>>,
        answer: oneshot::Sender<Swept>,
    },
    /// Stop after this batch.
    Close(oneshot::Sender<()>),
}

/// The thread's state.
pub(super) struct Committer {
    /// The store's directory, for the log.
    pub(super) path: PathBuf,
    pub(super) db: sled::Db,
    pub(super) records: sled::Tree,
    /// Follows `records`, and by and by has all of them.
    pub(super) index: Arc<Index>,
    pub(super) log: sled::Tree,
    /// sled's database file.
    pub(super) file: File,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) durable: watch::Sender<Durable>,
    pub(super) count: Arc<AtomicUsize>,
    pub(super) max_records: usize,
    pub(super) full: Arc<Notify>,
    pub(super) failed: CancellationToken,
    /// Dropped last.
    pub(super) _lock: Arc<File>,
}

/// What a batch changes, and whom to tell when it is durable.
#[derive(Default)]
struct Batch {
    /// `None` removes the record.
    records: HashMap<TokenId, Option<Vec<u8>>>,
    log: sled::Batch,
    /// Whether there is something in this batch that the disk does not have: most steps of a sweep find nothing to remove.
    changes: bool,
    position: Option<(Generation, Position)>,
    swept: Vec<(oneshot::Sender<Swept>, Swept)>,
    closed: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Error)]
enum CommitError {
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    #[error("fdatasync: {0}")]
    Sync(#[from] std::io::Error),
}

// === impl Committer ===

impl Committer {
    /// Commits until it is told to close, every sender is gone, or the store fails. Returns whom to tell that
    /// it is closed.
    pub(super) fn run(mut self) -> Option<oneshot::Sender<()>> {
        // Also where sled panics, which it does on some damaged files.
        let failed = self.failed.clone().drop_guard();
        while let Some(first) = self.commands.blocking_recv() {
            match self.commit(first) {
                Ok(None) => {}
                Ok(closed) => {
                    failed.disarm();
                    return closed;
                }
                Err(error) => {
                    error!(store = %self.path.display(), %error, "the store cannot be written: giving up");
                    return None;
                }
            }
        }
        failed.disarm();
        None
    }

    /// Commits one batch. Returns whom to tell that this was the last one.
    fn commit(&mut self, first: Command) -> Result<Option<oneshot::Sender<()>>, CommitError> {
        let mut batch = Batch::default();
        self.stage(&mut batch, first)?;
        for _ in 1..BATCH {
            let Ok(command) = self.commands.try_recv() else { break };
            self.stage(&mut batch, command)?;
        }
        self.write(&mut batch)?;
        if batch.changes {
            self.db.flush()?;
            self.file.sync_data()?;
        }
        if let Some((generation, position)) = batch.position {
            self.durable.send_replace(Some((generation, position.sequence)));
        }
        for (answer, swept) in batch.swept {
            let _ = answer.send(swept);
        }
        Ok(batch.closed)
    }

    fn stage(&self, batch: &mut Batch, command: Command) -> Result<(), CommitError> {
        match command {
            Command::Record { id, value } => {
                batch.records.insert(id, Some(value));
            }
            Command::Log { generation, entries, position } => {
                for (key, value) in entries {
                    batch.log.insert(key, value);
                }
                batch.log.insert(layout::POSITION_KEY, layout::encode_position(generation, position));
                batch.position = Some((generation, position));
                batch.changes = true;
            }
            Command::Sweep { generation, what, cutoff, after, answer } => {
                self.write(batch)?; // a sweep must see what was asked for before it
                let swept = match what {
                    // The replica has started over meanwhile: the cutoff is not for what is there now.
                    _ if self.generation(batch) != Some(generation) => Swept::default(),
                    Sweep::Records => self.sweep_records(batch, generation, cutoff, after)?,
                    Sweep::Entries => self.sweep_entries(batch, generation, cutoff, after)?,
                };
                batch.swept.push((answer, swept));
            }
            Command::Close(closed) => batch.closed = Some(closed),
        }
        Ok(())
    }

    /// The generation that the log is in once this batch is written.
    fn generation(&self, batch: &Batch) -> Option<Generation> {
        let staged = batch.position.map(|(generation, _)| generation);
        staged.or_else(|| self.durable.borrow().map(|(generation, _)| generation))
    }

    fn sweep_records(
        &self,
        batch: &mut Batch,
        generation: Generation,
        cutoff: Timestamp,
        after: Option<Vec<u8>>,
    ) -> Result<Swept, CommitError> {
        let mut swept = Swept::default();
        for (row, item) in self.records.range((lower(after), Bound::Unbounded)).enumerate() {
            let (key, value) = item?;
            if let Some(id) = layout::record_key(&key) {
                if layout::keeps_record(&value, generation, cutoff) {
                    self.index.add(id, value);
                } else {
                    batch.records.insert(id, None);
                }
            }
            if row + 1 == STEP {
                swept.next = Some(key.to_vec());
                break;
            }
        }
        Ok(swept)
    }

    fn sweep_entries(
        &self,
        batch: &mut Batch,
        generation: Generation,
        cutoff: Timestamp,
        after: Option<Vec<u8>>,
    ) -> Result<Swept, CommitError> {
        let mut swept = Swept::default();
        let from = after.map_or(Bound::Included(layout::ENTRY_PREFIX.to_vec()), Bound::Excluded);
        let to = Bound::Excluded(layout::POSITION_KEY.to_vec()); // sorts behind every entry
        for (row, item) in self.log.range((from, to)).enumerate() {
            let (key, value) = item?;
            match layout::decode_entry(&key, &value) {
                Some((of, entry)) if of == generation && entry.forget_at > cutoff => {}
                Some((of, entry)) => {
                    batch.log.remove(&key);
                    batch.changes = true;
                    if of == generation {
                        swept.forgotten.push(entry.scope);
                    }
                }
                None => {} // does not happen: opening has decoded all, and we write no others
            }
            if row + 1 == STEP {
                swept.next = Some(key.to_vec());
                break;
            }
        }
        Ok(swept)
    }

    fn write(&self, batch: &mut Batch) -> Result<(), CommitError> {
        self.log.apply_batch(std::mem::take(&mut batch.log))?;
        batch.changes |= !batch.records.is_empty();
        let mut records = sled::Batch::default();
        let mut followed = Vec::with_capacity(batch.records.len());
        let before = self.count.load(Ordering::Relaxed);
        let mut count = before;
        for (id, value) in batch.records.drain() {
            let known = self.records.contains_key(id.as_bytes())?;
            match value {
                Some(_) if !known && count >= self.max_records => self.full.notify_one(),
                Some(value) => {
                    let value = sled::IVec::from(value);
                    records.insert(id.as_bytes(), value.clone());
                    followed.push((id, Some(value)));
                    count += usize::from(!known);
                }
                None => {
                    records.remove(id.as_bytes());
                    followed.push((id, None));
                    count -= usize::from(known);
                }
            }
        }
        if count != before {
            records.insert(layout::COUNT_KEY, &layout::encode_count(count));
        }
        self.records.apply_batch(records)?;
        self.index.follow(followed);
        self.count.store(count, Ordering::Relaxed);
        Ok(())
    }
}

fn lower(after: Option<Vec<u8>>) -> Bound<Vec<u8>> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

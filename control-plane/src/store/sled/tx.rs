//! One operation: it reads the tree, collects what it writes, and is applied as a whole or not at all.

use std::collections::BTreeMap;

use ::sled::{Batch, IVec, Tree};
use portcullis_proto::time::Timestamp;
use serde::Serialize;

use super::keys::{Key, Meta};
use super::rows::{self, Kept, Read};
use crate::store::StoreError;

/// Longest row, in bytes. sled puts a page that outgrows a quarter of a segment into a file of its own,
/// which it does not sync: rows of this size keep every page (about 20 rows) well below that.
pub(super) const MAX_ROW: usize = 64 * 1024;

/// The writes of one operation, over the tree as the operations before it have left it.
pub(super) struct Tx<'a> {
    tree: &'a Tree,
    writes: BTreeMap<Key, Option<IVec>>,
}

// === impl Tx ===

impl<'a> Tx<'a> {
    pub(super) const fn new(tree: &'a Tree) -> Self {
        Self { tree, writes: BTreeMap::new() }
    }

    /// The tree, as the operations before this one have left it.
    pub(super) const fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// Writes a row that the sweeper does not know of.
    pub(super) fn put<T: Serialize>(&mut self, key: Key, row: &T) -> Result<(), StoreError> {
        let bytes = rows::encode(&key, row)?;
        if bytes.len() > MAX_ROW {
            return Err(StoreError::Backend(format!(
                "{} bytes are too many for a row, under {key}",
                bytes.len()
            )));
        }
        self.writes.insert(key, Some(bytes.into()));
        Ok(())
    }

    /// Writes a new row, and when the sweeper is to look at it.
    pub(super) fn insert<T: Serialize>(
        &mut self,
        key: Key,
        row: &T,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if let Some(until) = until {
            self.look_again(until, &key);
        }
        self.put(key, &Kept { until, row })
    }

    /// Replaces a row. Its time may have moved, but not forward: when the sweeper comes to look at it, it
    /// finds the new time.
    pub(super) fn update<T: Serialize>(&mut self, key: Key, kept: &Kept<T>) -> Result<(), StoreError> {
        self.put(key, kept)
    }

    /// Tells the sweeper to look at a row once it is `until`.
    pub(super) fn look_again(&mut self, until: Timestamp, key: &Key) {
        self.mark(Key::expiry(until, key));
    }

    /// Writes a row that says all it has to say by its key.
    pub(super) fn mark(&mut self, key: Key) {
        self.writes.insert(key, Some(IVec::default()));
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.writes.insert(key, None);
    }

    /// Removes a row whose time has never moved, and with it what the sweeper knows of it.
    pub(super) fn remove_kept<T>(&mut self, key: Key, kept: &Kept<T>) {
        if let Some(until) = kept.until {
            self.remove(Key::expiry(until, &key));
        }
        self.remove(key);
    }

    /// Changes a counter by `by`, and tells what it was.
    pub(super) fn count(&mut self, counter: Meta, by: i64) -> Result<(), StoreError> {
        let key = Key::meta(counter);
        let count: u64 = self.present(&key)?;
        self.put(key, &count.saturating_add_signed(by))
    }

    /// The rows from `from` to `end`, without those that this operation has removed. Those that it has added
    /// are not among them.
    pub(super) fn scan(&self, from: &Key, end: &Key, limit: usize) -> Result<Vec<(Key, IVec)>, StoreError> {
        self.still_there(rows::scan(self.tree, from, end), limit)
    }

    /// As [`scan`](Self::scan), without `after` itself.
    pub(super) fn scan_after(
        &self,
        after: &Key,
        end: &Key,
        limit: usize,
    ) -> Result<Vec<(Key, IVec)>, StoreError> {
        self.still_there(rows::scan_after(self.tree, after, end), limit)
    }

    fn still_there(
        &self,
        rows: impl Iterator<Item = Result<(Key, IVec), StoreError>>,
        limit: usize,
    ) -> Result<Vec<(Key, IVec)>, StoreError> {
        let removed = |key: &Key| self.writes.get(key).is_some_and(Option::is_none);
        rows.filter(|row| row.as_ref().map_or(true, |(key, _)| !removed(key))).take(limit).collect()
    }

    /// All of it, where there is anything.
    pub(super) fn into_batch(self) -> Option<Batch> {
        if self.writes.is_empty() {
            return None;
        }
        let mut batch = Batch::default();
        for (key, value) in self.writes {
            match value {
                Some(value) => batch.insert(key.as_ref(), value),
                None => batch.remove(key.as_ref()),
            }
        }
        Some(batch)
    }
}

impl Read for Tx<'_> {
    fn bytes(&self, key: &Key) -> Result<Option<IVec>, StoreError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.tree.bytes(key),
        }
    }
}

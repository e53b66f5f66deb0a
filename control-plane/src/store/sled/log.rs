//! The revocation log's rows: one for each entry, and the two ends.

use ::sled::Tree;
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::{Key, Meta, Table};
use super::rows::{self, Read};
use super::tx::Tx;
use crate::store::StoreError;

/// One entry as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    entry: Entry,
    /// Where the log is with this entry as its last.
    position: Position,
}

/// The log's head, durable or not.
pub(super) fn head(read: &impl Read) -> Result<Position, StoreError> {
    read.present(&Key::meta(Meta::Head))
}

/// The oldest position from which the log can be followed.
pub(super) fn base(read: &impl Read) -> Result<Position, StoreError> {
    read.present(&Key::meta(Meta::Base))
}

/// Notes the expiry of an access token that is being issued.
pub(super) fn issued(tx: &mut Tx<'_>, expires_at: Timestamp) -> Result<(), StoreError> {
    let key = Key::meta(Meta::LatestAccessExpiry);
    if tx.present::<Timestamp>(&key)? < expires_at {
        tx.put(key, &expires_at)?;
    }
    Ok(())
}

/// Appends an entry. What it does to the rows that it names is the caller's.
pub(super) fn append(tx: &mut Tx<'_>, scope: Scope, now: Timestamp) -> Result<Entry, StoreError> {
    let head = head(tx)?;
    let latest: Timestamp = tx.present(&Key::meta(Meta::LatestAccessExpiry))?;
    let entry = Entry { sequence: head.sequence.next(), at: now, forget_at: latest.max(now), scope };
    let key = Key::log(entry.sequence);
    let Some(position) = head.after(&entry) else {
        return Err(StoreError::Row { key: key.to_string() });
    };
    let line = Line { entry, position };
    tx.put(key, &line)?;
    tx.put(Key::meta(Meta::Head), &position)?;
    Ok(line.entry)
}

/// Up to `limit` entries after `position` and up to the durable `head`; `None` where `position` is not one
/// of this log's, or what follows it is gone.
pub(super) fn entries_after(
    tree: &Tree,
    head: Position,
    position: &Position,
    limit: usize,
) -> Result<Option<Vec<Entry>>, StoreError> {
    if position.sequence > head.sequence || !is_ours(tree, head, position)? {
        return Ok(None);
    }
    let mut expected = position.sequence.next();
    let mut entries = Vec::new();
    for row in rows::scan(tree, &Key::log(expected), &Key::log(head.sequence.next())).take(limit) {
        let (key, bytes) = row?;
        let Line { entry, .. } = rows::decode(&key, &bytes)?;
        // A sweep at the same time may remove entries from the front.
        if entry.sequence != expected {
            return Ok(None);
        }
        expected = expected.next();
        entries.push(entry);
    }
    let complete = entries.len() == limit || expected > head.sequence;
    Ok(complete.then_some(entries))
}

fn is_ours(tree: &Tree, head: Position, position: &Position) -> Result<bool, StoreError> {
    if *position == head || *position == base(tree)? {
        return Ok(true);
    }
    let line: Option<Line> = tree.row(&Key::log(position.sequence))?;
    Ok(line.is_some_and(|line| line.position == *position))
}

/// Removes up to `limit` entries from the front that can hit no token any more, and tells how many.
pub(super) fn forget(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    let mut base = None;
    for (key, bytes) in tx.scan(&Key::first(Table::Log), &Key::end(Table::Log), limit)? {
        let Line { entry, position } = rows::decode(&key, &bytes)?;
        if entry.forget_at > now {
            break;
        }
        tx.remove(key);
        base = Some(position);
        forgotten += 1;
    }
    if let Some(base) = base {
        tx.put(Key::meta(Meta::Base), &base)?;
    }
    Ok(forgotten)
}

//! Removes what can mean nothing any more, a bounded piece at a time.

use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::{Key, Meta, Table};
use super::rows::{self, Kept, Read, Until};
use super::tx::Tx;
use super::{log, revocation};
use crate::oauth::grant::Grant;
use crate::store::StoreError;

/// One pass over all grants, in search of those that wide revocations have ended.
#[derive(Debug, Serialize, Deserialize)]
struct Pass {
    /// The log's head when it began: it finds all that the revocations up to there have ended.
    head: Sequence,
    /// The last grant looked at.
    after: Option<GrantId>,
}

/// Looks at up to `limit` rows of each kind, and tells how many it has removed.
pub(super) fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    Ok(expired(tx, now, limit)? + log::forget(tx, now, limit)? + cut_off(tx, limit)?)
}

/// Rows past their time.
fn expired(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (due, _) in tx.scan(&Key::first(Table::Expiry), &Key::expiry_end(now), limit)? {
        let key = due.expiring().ok_or_else(|| StoreError::Row { key: due.to_string() })?;
        tx.remove(due);
        let Some(Until { until: Some(until) }) = tx.row(&key)? else {
            continue; // gone already, or kept for good
        };
        if until > now {
            tx.look_again(until, &key);
            continue;
        }
        match key.table() {
            Some(Table::Client) => tx.count(Meta::UnusedClients, -1)?,
            Some(Table::Pending) => tx.count(Meta::Logins, -1)?,
            _ => {}
        }
        tx.remove(key);
        removed += 1;
    }
    Ok(removed)
}

/// Grants that a wide revocation has ended; after a whole pass over the grants, also the cutoffs that it has
/// made useless.
fn cut_off(tx: &mut Tx<'_>, limit: usize) -> Result<usize, StoreError> {
    if tx.scan(&Key::first(Table::Cutoff), &Key::end(Table::Cutoff), 1)?.is_empty() {
        return Ok(0);
    }
    let mut pass = match tx.row(&Key::meta(Meta::Pass))? {
        Some(pass) => pass,
        None => Pass { head: log::head(tx)?.sequence, after: None },
    };
    let after = pass.after.as_ref().map_or_else(|| Key::first(Table::Grant), Key::grant);
    let grants = tx.scan_after(&after, &Key::end(Table::Grant), limit)?;
    let mut at_end = grants.len() < limit;
    let mut removed = 0;
    for (key, bytes) in grants {
        let Kept { row: grant, .. } = rows::decode::<Kept<Grant>>(&key, &bytes)?;
        if revocation::is_cut_off(tx, &grant)? {
            tx.remove(key);
            removed += 1;
        }
        pass.after = Some(grant.id);
    }
    if at_end {
        let cutoffs = useless_cutoffs(tx, pass.head, limit)?;
        at_end = cutoffs.len() < limit;
        removed += cutoffs.len();
        for key in cutoffs {
            tx.remove(key);
        }
    }
    if at_end {
        tx.remove(Key::meta(Meta::Pass));
    } else {
        tx.put(Key::meta(Meta::Pass), &pass)?;
    }
    Ok(removed)
}

/// Cutoffs that no grant is left for: whatever was born before `head` and is dead, the pass has removed.
fn useless_cutoffs(tx: &Tx<'_>, head: Sequence, limit: usize) -> Result<Vec<Key>, StoreError> {
    let mut keys = Vec::new();
    for (key, bytes) in tx.scan(&Key::first(Table::Cutoff), &Key::end(Table::Cutoff), usize::MAX)? {
        let cutoff: Sequence = rows::decode(&key, &bytes)?;
        if cutoff <= head && keys.len() < limit {
            keys.push(key);
        }
    }
    Ok(keys)
}

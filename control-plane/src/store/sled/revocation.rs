//! What a revocation does to the rows, and whether a grant is alive.
//!
//! A narrow scope removes its row. A wide one writes one row, its cutoff: every grant in the scope that was
//! born before is dead, however many there are.

use ::sled::Tree;
use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta, Table};
use super::rows::{self, Kept, Read};
use super::tx::Tx;
use super::{log, owned, provider_clients};
use crate::oauth::grant::{AccessToken, Grant};
use crate::store::StoreError;

/// Appends to the log, and makes what the scope names dead.
pub(super) fn revoke(tx: &mut Tx<'_>, scope: Scope, now: Timestamp) -> Result<Entry, StoreError> {
    let entry = log::append(tx, scope, now)?;
    if let Some(cutoff) = Key::cutoff(&entry.scope) {
        tx.put(cutoff, &entry.sequence)?;
    }
    match &entry.scope {
        Scope::Token(id) => {
            let key = Key::access(id);
            if let Some(kept) = tx.kept::<AccessToken>(&key)? {
                owned::remove_access(tx, &kept.row, id);
                tx.remove_kept(key, &kept);
            }
        }
        Scope::Grant(id) => {
            if let Some(kept) = tx.kept::<Grant>(&Key::grant(id))? {
                owned::remove_grant(tx, &kept.row);
            }
        }
        Scope::Client(id) => {
            provider_clients::forget_all_of(tx, id)?;
        }
        Scope::Subject(..) | Scope::Server(_) | Scope::Everything => {}
    }
    Ok(entry)
}

/// A grant that nothing has revoked.
pub(super) fn live(read: &impl Read, id: &GrantId) -> Result<Option<Kept<Grant>>, StoreError> {
    let key = Key::grant(id);
    let Some(kept) = read.kept::<Grant>(&key)? else {
        return Ok(None);
    };
    // The sweeper removes a cutoff together with, or after, the last grant that it has ended. A reader
    // beside it that found the grant but no cutoff any more would take it for alive: so it looks again.
    if is_cut_off(read, &kept.row.revoked_by(), kept.row.born)? || read.bytes(&key)?.is_none() {
        return Ok(None);
    }
    Ok(Some(kept))
}

/// Whether a wide revocation with one of these scopes came after the birth of what they end.
pub(super) fn is_cut_off(read: &impl Read, scopes: &[Scope], born: Sequence) -> Result<bool, StoreError> {
    for key in scopes.iter().filter_map(Key::cutoff) {
        let cutoff: Option<Sequence> = read.row(&key)?;
        if cutoff.is_some_and(|cutoff| born < cutoff) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it must not be kept: a wide revocation came after the birth, or may have come, since some have left no cutoff by
/// now. The sweeper leaves each there for longer than anybody takes from the birth to the keeping.
pub(super) fn came_too_late(tx: &Tx<'_>, scopes: &[Scope], born: Sequence) -> Result<bool, StoreError> {
    let uncut: Option<Sequence> = tx.row(&Key::meta(Meta::Uncut))?;
    Ok(uncut.is_some_and(|uncut| born < uncut) || is_cut_off(tx, scopes, born)?)
}

/// Live grants in the order of their ids. Takes as long as there are dead ones between them.
pub(super) fn live_grants(
    tree: &Tree,
    after: Option<&GrantId>,
    limit: usize,
) -> Result<Vec<Grant>, StoreError> {
    let after = after.map_or_else(|| Key::first(Table::Grant), Key::grant);
    let mut grants = Vec::new();
    for row in rows::scan_after(tree, &after, &Key::end(Table::Grant)) {
        if grants.len() == limit {
            break;
        }
        let (key, bytes) = row?;
        let Kept { row, .. } = rows::decode::<Kept<Grant>>(&key, &bytes)?;
        grants.extend(live(tree, &row.id)?.map(|kept| kept.row));
    }
    Ok(grants)
}

//! Clients, how many of them nobody uses, and which of their assertions have been.

use ::sled::Tree;
use portcullis_proto::ids::{ClientId, TokenId};
use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta, Table};
use super::rows::{self, Kept, Read};
use super::tx::Tx;
use crate::oauth::client::Client;
use crate::store::{Registered, StoreError};

/// Keeps a new client, unless too many are unused.
pub(super) fn register(tx: &mut Tx<'_>, client: &Client, quota: usize) -> Result<Registered, StoreError> {
    let key = Key::client(&client.id);
    match tx.kept::<Client>(&key)?.map(|kept| kept.row.unused_until) {
        Some(None) => return Ok(Registered::Done), // in use
        Some(Some(_)) => {}                        // counted
        None => {
            let unused: u64 = tx.present(&Key::meta(Meta::UnusedClients))?;
            if unused >= quota as u64 {
                return Ok(Registered::Full);
            }
            if client.unused_until.is_some() {
                tx.count(Meta::UnusedClients, 1)?;
            }
        }
    }
    tx.insert(key, client, client.unused_until)?;
    Ok(Registered::Done)
}

/// Marks a client as used. `false` where it is not there or forgotten.
pub(super) fn mark_used(tx: &mut Tx<'_>, id: &ClientId, now: Timestamp) -> Result<bool, StoreError> {
    let key = Key::client(id);
    let Some(Kept { row: mut client, .. }) = tx.kept::<Client>(&key)? else {
        return Ok(false);
    };
    if client.is_forgotten(now) {
        return Ok(false);
    }
    if client.unused_until.take().is_some() {
        tx.count(Meta::UnusedClients, -1)?;
        tx.update(key, &Kept { until: None, row: client })?;
    }
    Ok(true)
}

/// Keeps a record in the place of any other; writes nothing where it is there already.
pub(super) fn remember(tx: &mut Tx<'_>, record: Client) -> Result<(), StoreError> {
    let key = Key::client(&record.id);
    let kept = tx.kept::<Client>(&key)?.map(|kept| kept.row);
    let created_at = kept.as_ref().map_or(record.created_at, |client| client.created_at);
    let row = Client { created_at, unused_until: None, ..record };
    if kept.as_ref() == Some(&row) {
        return Ok(());
    }
    if kept.is_some_and(|client| client.unused_until.is_some()) {
        tx.count(Meta::UnusedClients, -1)?;
    }
    tx.update(key, &Kept { until: None, row })
}

/// Notes that something has been used, unless it has been before.
pub(super) fn use_once(tx: &mut Tx<'_>, id: &TokenId, until: Timestamp) -> Result<bool, StoreError> {
    let key = Key::used(id);
    if tx.bytes(&key)?.is_some() {
        return Ok(false);
    }
    tx.insert(key, &(), Some(until))?;
    Ok(true)
}

/// Clients in the order of their ids.
pub(super) fn list(tree: &Tree, after: Option<&ClientId>, limit: usize) -> Result<Vec<Client>, StoreError> {
    let after = after.map_or_else(|| Key::first(Table::Client), Key::client);
    rows::scan_after(tree, &after, &Key::end(Table::Client))
        .take(limit)
        .map(|row| {
            let (key, bytes) = row?;
            rows::decode::<Kept<Client>>(&key, &bytes).map(|kept| kept.row)
        })
        .collect()
}

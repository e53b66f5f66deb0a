//! Clients, how many of them nobody uses, and which of their assertions have been.

use std::time::Duration;

use ::sled::Tree;
use portcullis_proto::ids::{ClientId, TokenId};
use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta, Table};
use super::provider_clients;
use super::rows::{self, Kept, Read};
use super::tx::Tx;
use crate::oauth::client::Client;
use crate::store::{Registered, StoreError};

/// How long after its time a login may still be finished: the provider is asked in between.
const FINISHING: Duration = Duration::from_mins(1);
/// Most clients that one registration pushes out: more than one only where the quota has been lowered.
const MOST_PUSHED_OUT: usize = 100;

/// Keeps a new client. Where too many are unused, those make room whose end is next and that nobody is about to log in
/// with.
pub(super) fn register(tx: &mut Tx<'_>, client: &Client, quota: usize) -> Result<Registered, StoreError> {
    let key = Key::client(&client.id);
    let mut registered = Registered::Done;
    match tx.kept::<Client>(&key)?.map(|kept| kept.row.unused_until) {
        Some(None) => return Ok(Registered::Done), // in use
        Some(Some(until)) => tx.remove(Key::unused(until, &client.id)), // counted
        None => {
            let unused: u64 = tx.present(&Key::meta(Meta::UnusedClients))?;
            let too_many = (unused + 1).saturating_sub(quota as u64);
            if too_many > 0 {
                registered = match push_out(tx, usize::try_from(too_many).unwrap_or(usize::MAX))? {
                    0 => return Ok(Registered::Full),
                    others => Registered::InPlaceOf(others),
                };
            }
            if client.unused_until.is_some() {
                tx.count(Meta::UnusedClients, 1)?;
            }
        }
    }
    tx.insert(key, client, client.unused_until)?;
    list_as_unused(tx, client)?;
    Ok(registered)
}

/// Forgets unused clients before their time, and tells how many.
fn push_out(tx: &mut Tx<'_>, count: usize) -> Result<usize, StoreError> {
    let (first, end) = (Key::first(Table::Unused), Key::end(Table::Unused));
    let mut pushed_out = 0;
    for (entry, _) in tx.scan(&first, &end, count.min(MOST_PUSHED_OUT))? {
        let id = entry.as_client().ok_or_else(|| StoreError::Row { key: entry.to_string() })?;
        let key = Key::client(&id);
        tx.remove(entry);
        if let Some(kept) = tx.kept::<Client>(&key)?.filter(|kept| kept.row.unused_until.is_some()) {
            forget(tx, &kept.row)?;
            tx.remove_kept(key, &kept);
            pushed_out += 1;
        }
    }
    Ok(pushed_out)
}

/// Removes all that there is because of an unused client, but not its own row. Tells how many other rows.
pub(super) fn forget(tx: &mut Tx<'_>, client: &Client) -> Result<usize, StoreError> {
    no_more_unused(tx, client)?;
    provider_clients::forget_all_of(tx, &client.id)
}

/// Notes that an unused client may have to make room, where nobody is about to log in with it.
fn list_as_unused(tx: &mut Tx<'_>, client: &Client) -> Result<(), StoreError> {
    if let Some(until) = client.unused_until
        && tx.bytes(&Key::busy(&client.id))?.is_none()
    {
        tx.mark(Key::unused(until, &client.id));
    }
    Ok(())
}

/// Takes a client off the unused ones, where it is among them.
fn no_more_unused(tx: &mut Tx<'_>, client: &Client) -> Result<(), StoreError> {
    if let Some(until) = client.unused_until {
        tx.count(Meta::UnusedClients, -1)?;
        tx.remove(Key::unused(until, &client.id));
    }
    Ok(())
}

/// Notes that somebody may log in with a client up to `until`: it need not make room meanwhile.
pub(super) fn protect(tx: &mut Tx<'_>, id: &ClientId, until: Timestamp) -> Result<(), StoreError> {
    let client = tx.kept::<Client>(&Key::client(id))?;
    let Some(unused_until) = client.and_then(|kept| kept.row.unused_until) else {
        return Ok(());
    };
    let (key, until) = (Key::busy(id), until.after(FINISHING));
    match tx.kept::<()>(&key)? {
        Some(busy) if busy.until >= Some(until) => Ok(()),
        Some(_) => tx.update(key, &Kept { until: Some(until), row: () }),
        None => {
            tx.remove(Key::unused(unused_until, id));
            tx.insert(key, &(), Some(until))
        }
    }
}

/// Ends the protection whose row is to be removed.
pub(super) fn unprotect(tx: &mut Tx<'_>, busy: &Key) -> Result<(), StoreError> {
    let id = busy.as_client().ok_or_else(|| StoreError::Row { key: busy.to_string() })?;
    tx.remove(busy.clone());
    match tx.kept::<Client>(&Key::client(&id))? {
        Some(kept) => list_as_unused(tx, &kept.row),
        None => Ok(()),
    }
}

/// Lists anew which clients may have to make room.
pub(super) fn prepare(tree: &Tree, tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for row in rows::scan(tree, &Key::first(Table::Unused), &Key::end(Table::Unused)) {
        tx.remove(row?.0);
    }
    for row in rows::scan(tree, &Key::first(Table::Client), &Key::end(Table::Client)) {
        let (key, bytes) = row?;
        list_as_unused(tx, &rows::decode::<Kept<Client>>(&key, &bytes)?.row)?;
    }
    Ok(())
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
    if client.unused_until.is_some() {
        no_more_unused(tx, &client)?;
        client.unused_until = None;
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
    if let Some(client) = &kept {
        no_more_unused(tx, client)?;
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

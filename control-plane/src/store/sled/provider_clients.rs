//! Clients at providers: one at a time for each slot, and so many in all.

use ::sled::Tree;
use portcullis_proto::ids::ClientId;
use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta};
use super::rows::{self, Kept, Read};
use super::tx::Tx;
use crate::oauth::client::Client;
use crate::oauth::provider_client::{ProviderClient, ProviderClientId, Slot};
use crate::store::{Occupied, StoreError, Vacancy};

/// Whether the slot is taken, or there is room.
pub(super) fn vacancy(tree: &Tree, slot: &Slot, quota: usize, now: Timestamp) -> Result<Vacancy, StoreError> {
    let own =
        rows::scan(tree, &Key::provider_clients(&slot.client), &Key::provider_clients_end(&slot.client));
    for row in own {
        let (key, bytes) = row?;
        let Kept { row, .. } = rows::decode::<Kept<ProviderClient>>(&key, &bytes)?;
        if row.serves(slot, now) {
            return Ok(Vacancy::Taken(Box::new(row)));
        }
    }
    let count: u64 = tree.present(&Key::meta(Meta::ProviderClients))?;
    Ok(if count < quota as u64 { Vacancy::Free } else { Vacancy::Full })
}

/// Keeps a provider client, where its slot is not taken. The row is of no use once its secret has expired.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    new: &ProviderClient,
    quota: usize,
    now: Timestamp,
) -> Result<Occupied, StoreError> {
    let client = tx.kept::<Client>(&Key::client(&new.slot.client))?;
    if client.is_none_or(|client| client.row.is_forgotten(now)) {
        return Ok(Occupied::Gone);
    }
    match vacancy(tx.tree(), &new.slot, quota, now)? {
        Vacancy::Taken(other) => return Ok(Occupied::Taken(other)),
        Vacancy::Full => return Ok(Occupied::Full),
        Vacancy::Free => {}
    }
    tx.count(Meta::ProviderClients, 1)?;
    tx.insert(Key::provider_client(&new.slot.client, &new.id), new, new.secret_expires_at)?;
    Ok(Occupied::Done)
}

/// Removes one.
pub(super) fn forget(tx: &mut Tx<'_>, client: &ClientId, id: &ProviderClientId) -> Result<bool, StoreError> {
    let key = Key::provider_client(client, id);
    let Some(kept) = tx.kept::<ProviderClient>(&key)? else {
        return Ok(false);
    };
    tx.count(Meta::ProviderClients, -1)?;
    tx.remove_kept(key, &kept);
    Ok(true)
}

/// Removes all of a client, and tells how many.
pub(super) fn forget_all_of(tx: &mut Tx<'_>, client: &ClientId) -> Result<usize, StoreError> {
    let (from, end) = (Key::provider_clients(client), Key::provider_clients_end(client));
    let rows = tx.scan(&from, &end, usize::MAX)?;
    let count = rows.len();
    for (key, bytes) in rows {
        let kept = rows::decode::<Kept<ProviderClient>>(&key, &bytes)?;
        tx.count(Meta::ProviderClients, -1)?;
        tx.remove_kept(key, &kept);
    }
    Ok(count)
}

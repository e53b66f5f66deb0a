//! What is sealed under which master key.

use ::sled::Tree;
use async_trait::async_trait;
use portcullis_proto::ids::GrantId;
use portcullis_proto::seal::Sealed;
use serde::Deserialize;

use super::SledStore;
use super::keys::{Key, Table};
use super::rows::{self, Kept, Read, backend};
use super::tx::Tx;
use crate::keys::Wrapped;
use crate::oauth::enrolment::{Enrolment, EnrolmentId};
use crate::oauth::grant::Grant;
use crate::oauth::provider_client::{KeptAuth, ProviderClient};
use crate::oauth::user_token::UserToken;
use crate::store::{StoreError, WrappedRow, WrappedStore};

/// The tables whose rows have something sealed, in the order in which they are gone through.
const TABLES: [Table; 4] = [Table::ProviderClient, Table::Enrolment, Table::Grant, Table::UserToken];

/// What matters here of a user's token: reading the rest of a row takes several times as long.
#[derive(Deserialize)]
struct TokenKey {
    master_key: String,
    data_key: Sealed,
}

/// What matters here of a grant.
#[derive(Deserialize)]
struct GrantKey {
    id: GrantId,
    master_key: String,
    data_key: Sealed,
}

/// What matters here of an enrolment.
#[derive(Deserialize)]
struct Waiting {
    grant: GrantKey,
}

#[async_trait]
impl WrappedStore for SledStore {
    async fn wrapped(
        &self,
        after: Option<&WrappedRow>,
        limit: usize,
    ) -> Result<Vec<(WrappedRow, Wrapped)>, StoreError> {
        let (tree, after) = (self.tree()?.clone(), after.map(key_of));
        tokio::task::spawn_blocking(move || list(&tree, after, limit)).await.map_err(backend)?
    }

    async fn rewrap(&self, row: WrappedRow, from: Wrapped, to: Wrapped) -> Result<bool, StoreError> {
        self.committer.submit(move |tx| rewrap(tx, &row, &from, to)).await
    }
}

fn list(tree: &Tree, after: Option<Key>, limit: usize) -> Result<Vec<(WrappedRow, Wrapped)>, StoreError> {
    let mut found = Vec::new();
    let begun = after.as_ref().and_then(Key::table);
    let mut after = after;
    for table in TABLES.into_iter().skip_while(|table| begun.is_some_and(|begun| begun != *table)) {
        let from = after.take().unwrap_or_else(|| Key::first(table));
        for row in rows::scan_after(tree, &from, &Key::end(table)) {
            if found.len() == limit {
                return Ok(found);
            }
            let (key, bytes) = row?;
            found.extend(decode(table, &key, &bytes)?);
        }
    }
    Ok(found)
}

/// What a row has; `None` for a provider client without a secret.
fn decode(table: Table, key: &Key, bytes: &[u8]) -> Result<Option<(WrappedRow, Wrapped)>, StoreError> {
    let damaged = || StoreError::Row { key: key.to_string() };
    let (row, master_key, sealed) = match table {
        Table::ProviderClient => {
            let ProviderClient { id, slot, auth, .. } = rows::decode::<Kept<_>>(key, bytes)?.row;
            let row = WrappedRow::ProviderClient { client: slot.client, id };
            return Ok(secret(auth).map(|wrapped| (row, wrapped)));
        }
        Table::Enrolment => {
            let Waiting { grant } = rows::decode::<Kept<_>>(key, bytes)?.row;
            let id = EnrolmentId(key.as_enrolment().ok_or_else(damaged)?);
            (WrappedRow::Enrolment { id, grant: grant.id }, grant.master_key, grant.data_key)
        }
        Table::UserToken => {
            let holder = key.as_holder().ok_or_else(damaged)?;
            let TokenKey { master_key, data_key } = rows::decode(key, bytes)?;
            (WrappedRow::UserToken(holder), master_key, data_key)
        }
        _ => {
            let GrantKey { id, master_key, data_key } = rows::decode::<Kept<_>>(key, bytes)?.row;
            (WrappedRow::Grant(id), master_key, data_key)
        }
    };
    Ok(Some((row, Wrapped { master_key, sealed })))
}

fn secret(auth: KeptAuth) -> Option<Wrapped> {
    match auth {
        KeptAuth::None => None,
        KeptAuth::SecretBasic(wrapped) | KeptAuth::SecretPost(wrapped) => Some(wrapped),
    }
}

fn key_of(row: &WrappedRow) -> Key {
    match row {
        WrappedRow::ProviderClient { client, id } => Key::provider_client(client, id),
        WrappedRow::Enrolment { id, .. } => Key::enrolment(id),
        WrappedRow::Grant(id) => Key::grant(id),
        WrappedRow::UserToken(holder) => Key::user_token(holder),
    }
}

/// The row is read anew, so that whatever else has changed in it stays changed.
fn rewrap(tx: &mut Tx<'_>, row: &WrappedRow, from: &Wrapped, to: Wrapped) -> Result<bool, StoreError> {
    let key = key_of(row);
    match row {
        WrappedRow::ProviderClient { .. } => {
            let Some(mut kept) = tx.kept::<ProviderClient>(&key)? else { return Ok(false) };
            match &mut kept.row.auth {
                KeptAuth::SecretBasic(now) | KeptAuth::SecretPost(now) if now == from => *now = to,
                _ => return Ok(false),
            }
            tx.update(key, &kept)?;
        }
        WrappedRow::Enrolment { .. } => {
            let Some(mut kept) = tx.kept::<Enrolment>(&key)? else { return Ok(false) };
            let Grant { master_key, data_key, .. } = &mut kept.row.grant;
            if !replace(master_key, data_key, from, to) {
                return Ok(false);
            }
            tx.update(key, &kept)?;
        }
        WrappedRow::Grant(_) => {
            let Some(mut kept) = tx.kept::<Grant>(&key)? else { return Ok(false) };
            let Grant { master_key, data_key, .. } = &mut kept.row;
            if !replace(master_key, data_key, from, to) {
                return Ok(false);
            }
            tx.update(key, &kept)?;
        }
        WrappedRow::UserToken(_) => {
            let Some(mut token) = tx.row::<UserToken>(&key)? else { return Ok(false) };
            if !replace(&mut token.master_key, &mut token.data_key, from, to) {
                return Ok(false);
            }
            tx.put(key, &token)?;
        }
    }
    Ok(true)
}

fn replace(master_key: &mut String, sealed: &mut Sealed, from: &Wrapped, to: Wrapped) -> bool {
    let same = *master_key == from.master_key && *sealed == from.sealed;
    if same {
        (*master_key, *sealed) = (to.master_key, to.sealed);
    }
    same
}

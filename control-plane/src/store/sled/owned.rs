//! What belongs to whom: the grants of a user, and the access tokens of a grant. Rows without a value, whose keys
//! say it all; they come and go with the rows that they lead to.

use ::sled::Tree;
use portcullis_proto::ids::{GrantId, ProviderName, ServerName, Subject, TokenId};

use super::keys::{Key, Meta, Table};
use super::revocation;
use super::rows::{self, Kept, Read};
use super::tx::Tx;
use crate::oauth::grant::{AccessToken, Grant};
use crate::oauth::user_token::Holder;
use crate::store::StoreError;

/// Notes whose a new grant is.
pub(super) fn add_grant(tx: &mut Tx<'_>, grant: &Grant) {
    tx.mark(Key::grant_of(&grant.provider, &grant.subject, &grant.id));
}

/// Removes a grant's row.
pub(super) fn remove_grant(tx: &mut Tx<'_>, grant: &Grant) {
    tx.remove(Key::grant_of(&grant.provider, &grant.subject, &grant.id));
    tx.remove(Key::grant(&grant.id));
}

/// Notes whose a new access token is.
pub(super) fn add_access(tx: &mut Tx<'_>, grant: &GrantId, id: &TokenId) {
    tx.mark(Key::access_of(grant, id));
}

/// Forgets whose an access token was.
pub(super) fn remove_access(tx: &mut Tx<'_>, token: &AccessToken, id: &TokenId) {
    tx.remove(Key::access_of(&token.grant, id));
}

/// The live grants of the holder's user at the holder's server, in the order of their ids.
pub(super) fn live_grants_at(tx: &Tx<'_>, holder: &Holder) -> Result<Vec<GrantId>, StoreError> {
    let (first, end) = Key::grants_of(&holder.provider, &holder.subject);
    let mut grants = Vec::new();
    for (key, _) in tx.scan(&first, &end, usize::MAX)? {
        let id = grant_id(&key, &first)?;
        let grant = revocation::live(tx, &id)?;
        grants.extend(grant.filter(|grant| grant.row.server == holder.server).map(|grant| grant.row.id));
    }
    Ok(grants)
}

/// A user's live grants at any of these servers, in the order of their ids.
pub(super) fn live_grants(
    tree: &Tree,
    provider: &ProviderName,
    subject: &Subject,
    servers: &[ServerName],
    limit: usize,
) -> Result<Vec<Grant>, StoreError> {
    let (first, end) = Key::grants_of(provider, subject);
    let mut grants = Vec::new();
    for row in rows::scan(tree, &first, &end) {
        if grants.len() == limit {
            break;
        }
        let id = grant_id(&row?.0, &first)?;
        let grant = revocation::live(tree, &id)?.map(|kept| kept.row);
        grants.extend(grant.filter(|grant| servers.contains(&grant.server)));
    }
    Ok(grants)
}

/// The access tokens of a grant that have not been removed, in the order of their ids; `limit` of them at most.
pub(super) fn access_tokens(tx: &Tx<'_>, grant: &GrantId, limit: usize) -> Result<Vec<TokenId>, StoreError> {
    let (first, end) = Key::access_tokens_of(grant);
    let keys = tx.scan(&first, &end, limit)?;
    keys.iter()
        .map(|(key, _)| {
            TokenId::from_slice(key.below(&first)).ok_or_else(|| StoreError::Row { key: key.to_string() })
        })
        .collect()
}

/// Notes whose the grants and access tokens are that are from before this was noted. Once.
pub(super) fn prepare(tree: &Tree, tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let done = Key::meta(Meta::GrantsOfUsers);
    if tx.bytes(&done)?.is_some() {
        return Ok(());
    }
    for row in rows::scan(tree, &Key::first(Table::Grant), &Key::end(Table::Grant)) {
        let (key, bytes) = row?;
        add_grant(tx, &rows::decode::<Kept<Grant>>(&key, &bytes)?.row);
    }
    for row in rows::scan(tree, &Key::first(Table::Access), &Key::end(Table::Access)) {
        let (key, bytes) = row?;
        let id = key.access_id().ok_or_else(|| StoreError::Row { key: key.to_string() })?;
        add_access(tx, &rows::decode::<Kept<AccessToken>>(&key, &bytes)?.row.grant, &id);
    }
    tx.put(done, &true)
}

fn grant_id(key: &Key, first: &Key) -> Result<GrantId, StoreError> {
    let text = std::str::from_utf8(key.below(first));
    text.map(GrantId::new).map_err(|_| StoreError::Row { key: key.to_string() })
}

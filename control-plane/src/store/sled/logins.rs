//! Logins under way: kept once, handed out once.

use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta};
use super::rows::Read;
use super::tx::Tx;
use super::{clients, holders, log, revocation};
use crate::oauth::pending::{self, BrowserId, Pending, StateId};
use crate::store::{Begun, StoreError};

/// Keeps an approved login, unless there are too many. Its client need not make room meanwhile.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    state: &StateId,
    pending: &Pending,
    quota: usize,
) -> Result<Begun, StoreError> {
    if !holders::has_room(tx, pending, pending::MOST_IN_A_BROWSER)? {
        return Ok(Begun::TooMany);
    }
    let logins: u64 = tx.present(&Key::meta(Meta::Logins))?;
    if logins >= quota as u64 {
        return Ok(Begun::Full);
    }
    let pending = Pending { born: Some(log::head(tx)?.sequence), ..pending.clone() };
    tx.count(Meta::Logins, 1)?;
    let key = Key::pending(state);
    holders::add(tx, &key, &pending);
    tx.insert(key, &pending, Some(pending.expires_at))?;
    if let Some(client) = pending.purpose.client() {
        clients::protect(tx, client, pending.expires_at)?;
    }
    Ok(Begun::Done)
}

/// Hands a login out to the browser that approved it, and removes it.
pub(super) fn take(
    tx: &mut Tx<'_>,
    state: &StateId,
    browser: &BrowserId,
    now: Timestamp,
) -> Result<Option<Pending>, StoreError> {
    let key = Key::pending(state);
    let Some(kept) = tx.kept::<Pending>(&key)? else {
        return Ok(None);
    };
    if kept.row.browser != *browser || kept.row.expires_at <= now {
        return Ok(None);
    }
    if let Some(born) = kept.row.born
        && revocation::is_cut_off(tx, &kept.row.revoked_by(), born)?
    {
        return Ok(None);
    }
    tx.count(Meta::Logins, -1)?;
    holders::remove(tx, &key, &kept.row);
    tx.remove_kept(key, &kept);
    Ok(Some(kept.row))
}

//! Sessions on the account page.

use ::sled::Tree;
use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta};
use super::rows::{Kept, Read};
use super::tx::Tx;
use super::{holders, log, revocation};
use crate::oauth::session::{self, Session, SessionId};
use crate::store::{Begun, StoreError};

/// Keeps a session, unless there are too many. `None` where it has been revoked since it was decided.
pub(super) fn open(
    tx: &mut Tx<'_>,
    id: &SessionId,
    mut session: Session,
    quota: usize,
) -> Result<Option<Begun>, StoreError> {
    if revocation::came_too_late(tx, &session.revoked_by(), session.born)? {
        return Ok(None);
    }
    if !holders::has_room(tx, &session, session::MOST_OF_A_USER)? {
        return Ok(Some(Begun::TooMany));
    }
    let sessions: u64 = tx.present(&Key::meta(Meta::Sessions))?;
    if sessions >= quota as u64 {
        return Ok(Some(Begun::Full));
    }
    session.born = session.born.min(log::head(tx)?.sequence);
    tx.count(Meta::Sessions, 1)?;
    let key = Key::session(id);
    holders::add(tx, &key, &session);
    tx.insert(key, &session, Some(session.expires_at))?;
    Ok(Some(Begun::Done))
}

/// A session that is not over.
pub(super) fn get(tree: &Tree, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
    Ok(live(tree, id, now)?.map(|kept| kept.row))
}

/// Counts an attempt, where there is one left.
pub(super) fn attempt(tx: &mut Tx<'_>, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(Kept { until, row }) = live(tx, id, now)? else {
        return Ok(false);
    };
    let Some(session) = row.attempted() else {
        return Ok(false);
    };
    tx.update(Key::session(id), &Kept { until, row: session })?;
    Ok(true)
}

/// Ends a session.
pub(super) fn end(tx: &mut Tx<'_>, id: &SessionId) -> Result<(), StoreError> {
    let key = Key::session(id);
    if let Some(kept) = tx.kept::<Session>(&key)? {
        tx.count(Meta::Sessions, -1)?;
        holders::remove(tx, &key, &kept.row);
        tx.remove_kept(key, &kept);
    }
    Ok(())
}

fn live(read: &impl Read, id: &SessionId, now: Timestamp) -> Result<Option<Kept<Session>>, StoreError> {
    let key = Key::session(id);
    let Some(kept) = read.kept::<Session>(&key)?.filter(|kept| now < kept.row.expires_at) else {
        return Ok(None);
    };
    // Twice, for the same reason as a grant.
    let session = &kept.row;
    if revocation::is_cut_off(read, &session.revoked_by(), session.born)? || read.bytes(&key)?.is_none() {
        return Ok(None);
    }
    Ok(Some(kept))
}

//! Logins that wait for a token of the user's own, and those tokens.

use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta};
use super::rows::{Kept, Read};
use super::tx::Tx;
use super::{clients, holders, log, owned, revocation, tokens};
use crate::oauth::enrolment::{self, Enrolment, EnrolmentId};
use crate::oauth::grant::AccessToken;
use crate::oauth::pending::BrowserId;
use crate::oauth::user_token::{Holder, UserToken};
use crate::store::{Begun, Enrolled, Finish, Granted, StoreError};

/// Keeps an enrolment, unless there are too many. Its client need not make room meanwhile.
pub(super) fn enrol(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    mut enrolment: Enrolment,
    quota: usize,
) -> Result<Begun, StoreError> {
    if !holders::has_room(tx, &enrolment, enrolment::MOST_OF_A_USER)? {
        return Ok(Begun::TooMany);
    }
    let enrolments: u64 = tx.present(&Key::meta(Meta::Enrolments))?;
    if enrolments >= quota as u64 {
        return Ok(Begun::Full);
    }
    enrolment.grant.born = log::head(tx)?.sequence;
    tx.count(Meta::Enrolments, 1)?;
    let key = Key::enrolment(id);
    holders::add(tx, &key, &enrolment);
    tx.insert(key, &enrolment, Some(enrolment.expires_at))?;
    clients::protect(tx, &enrolment.grant.client, enrolment.expires_at)?;
    Ok(Begun::Done)
}

/// Counts an attempt; one too many ends the enrolment.
pub(super) fn attempt(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    now: Timestamp,
) -> Result<Option<Enrolment>, StoreError> {
    let Some(kept) = open(tx, id, browser, now)? else {
        return Ok(None);
    };
    let until = kept.until;
    let Some(enrolment) = kept.row.clone().attempted() else {
        remove(tx, id, &kept)?;
        return Ok(None);
    };
    tx.update(Key::enrolment(id), &Kept { until, row: &enrolment })?;
    Ok(Some(enrolment))
}

/// Ends an enrolment, and hands it out.
pub(super) fn take(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    now: Timestamp,
) -> Result<Option<Enrolment>, StoreError> {
    let Some(kept) = open(tx, id, browser, now)? else {
        return Ok(None);
    };
    remove(tx, id, &kept)?;
    Ok(Some(kept.row))
}

/// Makes a grant of an enrolment.
pub(super) fn finish(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    finish: Finish,
    now: Timestamp,
) -> Result<Enrolled, StoreError> {
    let Some(kept) = open(tx, id, browser, now)? else {
        return Ok(Enrolled::Gone);
    };
    remove(tx, id, &kept)?;
    let Finish { grant, code: (code_id, code), token } = finish;
    let holder = Holder::of(&grant);
    let key = Key::user_token(&holder);
    if tokens::grant(tx, grant, &code_id, &code)? == Granted::Gone {
        return Ok(Enrolled::Gone);
    }
    let entries = if tx.bytes(&key)?.is_some() { renew(tx, &holder, now)? } else { Vec::new() };
    tx.put(key, &token)?;
    Ok(Enrolled::Done(entries))
}

/// Replaces a token that is there.
pub(super) fn replace_token(
    tx: &mut Tx<'_>,
    holder: &Holder,
    token: &UserToken,
    now: Timestamp,
) -> Result<Option<Vec<Entry>>, StoreError> {
    let key = Key::user_token(holder);
    if tx.bytes(&key)?.is_none() {
        return Ok(None);
    }
    tx.put(key, token)?;
    renew(tx, holder, now).map(Some)
}

/// Removes a token, and what is worth nothing without.
pub(super) fn remove_token(
    tx: &mut Tx<'_>,
    holder: &Holder,
    now: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    tx.remove(Key::user_token(holder));
    let grants = owned::live_grants_at(tx, holder)?;
    grants.into_iter().map(|id| revocation::revoke(tx, Scope::Grant(id), now)).collect()
}

/// Ends the access tokens that were sealed together with the token before: also those that seem to have expired, by
/// whichever clock.
fn renew(tx: &mut Tx<'_>, holder: &Holder, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for grant in owned::live_grants_at(tx, holder)? {
        for id in owned::access_tokens(tx, &grant)? {
            if tx.kept::<AccessToken>(&Key::access(&id))?.is_some() {
                entries.push(revocation::revoke(tx, Scope::Token(id), now)?);
            }
        }
    }
    Ok(entries)
}

/// The enrolment, where this browser may go on with it and nothing has revoked it.
fn open(
    tx: &Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    now: Timestamp,
) -> Result<Option<Kept<Enrolment>>, StoreError> {
    let Some(kept) = tx.kept::<Enrolment>(&Key::enrolment(id))? else {
        return Ok(None);
    };
    let grant = &kept.row.grant;
    let open =
        kept.row.is_open_to(browser, now) && !revocation::is_cut_off(tx, &grant.revoked_by(), grant.born)?;
    Ok(open.then_some(kept))
}

fn remove(tx: &mut Tx<'_>, id: &EnrolmentId, kept: &Kept<Enrolment>) -> Result<(), StoreError> {
    let key = Key::enrolment(id);
    tx.count(Meta::Enrolments, -1)?;
    holders::remove(tx, &key, &kept.row);
    tx.remove_kept(key, kept);
    Ok(())
}

//! Grants, codes, and what they bring.

use ::sled::Tree;
use portcullis_proto::ids::TokenId;
use portcullis_proto::revocation::Scope;
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;

use super::keys::Key;
use super::rows::{Kept, Read};
use super::tx::Tx;
use super::{clients, log, owned, revocation};
use crate::oauth::code::Code;
use crate::oauth::grant::{AccessToken, Grant};
use crate::oauth::refresh::{Given, Presentation, RefreshToken, Rotation, Stage};
use crate::store::{Again, Granted, Issue, Redeemed, Rotated, StoreError};

/// Keeps a grant and the code for it, and marks the client as used; not where it has been revoked since it was decided.
pub(super) fn grant(
    tx: &mut Tx<'_>,
    grant: Grant,
    code_id: &TokenId,
    code: &Code,
) -> Result<Granted, StoreError> {
    if revocation::came_too_late(tx, &grant.revoked_by(), grant.born)? {
        return Ok(Granted::Gone);
    }
    keep_grant(tx, grant, code_id, code)
}

/// The same for a grant that nothing has revoked.
pub(super) fn keep_grant(
    tx: &mut Tx<'_>,
    mut grant: Grant,
    code_id: &TokenId,
    code: &Code,
) -> Result<Granted, StoreError> {
    if !clients::mark_used(tx, &grant.client, grant.created_at)? {
        return Ok(Granted::Gone);
    }
    grant.born = log::head(tx)?.sequence;
    tx.insert(Key::grant(&grant.id), &grant, Some(grant.expires_at))?;
    owned::add_grant(tx, &grant);
    tx.insert(Key::code(code_id), code, Some(code.expires_at))?;
    Ok(Granted::Done)
}

/// Uses a code up and keeps what it brings; used before, it revokes its grant.
pub(super) fn redeem(
    tx: &mut Tx<'_>,
    id: &TokenId,
    issue: Issue,
    now: Timestamp,
) -> Result<Redeemed, StoreError> {
    let key = Key::code(id);
    let Some(mut code) = tx.kept::<Code>(&key)? else {
        return Ok(Redeemed::Gone);
    };
    let grant = revocation::live(tx, &code.row.grant)?;
    if code.row.used {
        let entry = grant.map(|_| revocation::revoke(tx, Scope::Grant(code.row.grant), now)).transpose()?;
        return Ok(Redeemed::Replayed(entry));
    }
    let Some(grant) = grant.filter(|_| now < code.row.expires_at) else {
        return Ok(Redeemed::Gone);
    };
    code.row.used = true;
    code.until = code.until.max(Some(issue.access.1.expires_at));
    tx.update(key, &code)?;
    keep_tokens(tx, grant, issue)?;
    Ok(Redeemed::Issued)
}

/// Rotates a refresh token.
pub(super) fn rotate(
    tx: &mut Tx<'_>,
    presented: &TokenId,
    mut issue: Issue,
    answer: Sealed,
    rotation: Rotation,
    now: Timestamp,
) -> Result<Rotated, StoreError> {
    let key = Key::refresh(presented);
    let Some(mut token) = tx.kept::<RefreshToken>(&key)? else {
        return Ok(Rotated::Gone);
    };
    let Some(grant) = revocation::live(tx, &token.row.grant)? else {
        return Ok(Rotated::Gone);
    };
    match token.row.present(now, rotation.grace) {
        Presentation::Expired => Ok(Rotated::Gone),
        Presentation::Repeat(answer) => Ok(Rotated::Repeated(answer)),
        Presentation::Reuse => {
            Ok(Rotated::Reused(revocation::revoke(tx, Scope::Grant(token.row.grant), now)?))
        }
        Presentation::First => {
            let Some(pace) = token.row.pace.step(now, rotation.limit) else {
                return Ok(Rotated::TooSoon(again(tx, &token.row, &issue, now)?));
            };
            issue.refresh.1.pace = pace;
            if let Some(predecessor) = &token.row.predecessor {
                supersede(tx, predecessor)?;
            }
            token.row.stage = Stage::Rotated { at: now, answer };
            token.row.given = None;
            tx.update(key, &token)?;
            keep_tokens(tx, grant, issue)?;
            Ok(Rotated::Issued)
        }
    }
}

/// The answer that brought the refresh token, where it would do instead of what is offered.
fn again(
    tx: &Tx<'_>,
    token: &RefreshToken,
    offered: &Issue,
    now: Timestamp,
) -> Result<Option<Again>, StoreError> {
    let Some(Given { access, answer }) = &token.given else {
        return Ok(None);
    };
    let kept = tx.kept::<AccessToken>(&Key::access(access))?.map(|kept| kept.row);
    let good = kept.filter(|kept| now < kept.expires_at && kept.scopes == offered.access.1.scopes);
    Ok(good.map(|kept| Again { answer: answer.clone(), expires_at: kept.expires_at }))
}

/// Ends the grace of a token whose successor has been used, where it is still there.
fn supersede(tx: &mut Tx<'_>, id: &TokenId) -> Result<(), StoreError> {
    let key = Key::refresh(id);
    if let Some(mut token) = tx.kept::<RefreshToken>(&key)? {
        token.row.stage = Stage::Superseded;
        tx.update(key, &token)?;
    }
    Ok(())
}

/// Keeps new tokens under a grant, and the grant for as long as any of its tokens may live.
fn keep_tokens(tx: &mut Tx<'_>, mut grant: Kept<Grant>, issue: Issue) -> Result<(), StoreError> {
    let Issue { access: (access_id, mut access), refresh: (refresh_id, refresh) } = issue;
    access.born = log::head(tx)?.sequence;
    log::issued(tx, access.expires_at)?;
    tx.insert(Key::access(&access_id), &access, Some(access.expires_at))?;
    owned::add_access(tx, &access.grant, &access_id);
    tx.insert(Key::refresh(&refresh_id), &refresh, Some(refresh.expires_at))?;
    grant.row.expires_at = refresh.expires_at;
    grant.until = grant.until.max(Some(refresh.expires_at.max(access.expires_at)));
    tx.update(Key::grant(&grant.row.id), &grant)
}

/// An unexpired access token and its live grant.
pub(super) fn access_token(
    tree: &Tree,
    id: &TokenId,
    now: Timestamp,
) -> Result<Option<(AccessToken, Grant)>, StoreError> {
    let Some(Kept { row: token, .. }) = tree.kept::<AccessToken>(&Key::access(id))? else {
        return Ok(None);
    };
    if token.expires_at <= now {
        return Ok(None);
    }
    Ok(revocation::live(tree, &token.grant)?.map(|grant| (token, grant.row)))
}

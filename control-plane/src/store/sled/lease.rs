//! Who may replace what the provider gave for a grant, and doing so. The lease is part of the grant's row.

use portcullis_proto::ids::GrantId;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

use super::keys::Key;
use super::revocation;
use super::rows::Kept;
use super::tx::Tx;
use crate::oauth::grant::{Grant, Upstream};
use crate::oauth::renewal::Renewal;
use crate::store::StoreError;
use crate::store::lease::{Lease, Leasing};

/// Takes the lease on replacing `version`, where nothing stands in its way.
pub(super) fn take(
    tx: &mut Tx<'_>,
    id: GrantId,
    version: u64,
    now: Timestamp,
    until: Timestamp,
) -> Result<Leasing, StoreError> {
    let Some(mut grant) = revocation::live(tx, &id)? else {
        return Ok(Leasing::Gone);
    };
    let upstream = &mut grant.row.upstream;
    if upstream.version != version {
        return Ok(Leasing::Overtaken);
    }
    match upstream.renewal.begin(now, until) {
        Ok(renewal) => {
            upstream.renewal = renewal;
            tx.update(Key::grant(&id), &grant)?;
            Ok(Leasing::Leased(Lease { grant: id, version, attempt: renewal.attempt() }))
        }
        Err(busy) => Ok(Leasing::Busy(busy)),
    }
}

/// Replaces what the provider gave, where the version is still the leased one.
pub(super) fn update_upstream(
    tx: &mut Tx<'_>,
    lease: &Lease,
    upstream: Upstream,
) -> Result<bool, StoreError> {
    let Some(mut grant) = leased_version(tx, lease)? else {
        return Ok(false);
    };
    let version = lease.version.saturating_add(1);
    grant.row.upstream = Upstream { version, renewal: Renewal::default(), ..upstream };
    tx.update(Key::grant(&lease.grant), &grant)?;
    Ok(true)
}

/// The same, but the attempt goes on at the new version.
pub(super) fn keep_upstream(
    tx: &mut Tx<'_>,
    lease: Lease,
    upstream: Upstream,
    until: Timestamp,
) -> Result<Option<Lease>, StoreError> {
    let Some(mut grant) = leased_version(tx, &lease)? else {
        return Ok(None);
    };
    let version = lease.version.saturating_add(1);
    let renewal = grant.row.upstream.renewal.goes_on(until);
    grant.row.upstream = Upstream { version, renewal, ..upstream };
    tx.update(Key::grant(&lease.grant), &grant)?;
    Ok(Some(Lease { grant: lease.grant, version, attempt: renewal.attempt() }))
}

/// Ends the lease after a failure.
pub(super) fn defer(tx: &mut Tx<'_>, lease: &Lease, until: Timestamp) -> Result<bool, StoreError> {
    let Some(mut grant) = leased(tx, lease)? else {
        return Ok(false);
    };
    grant.row.upstream.renewal = grant.row.upstream.renewal.deferred(until);
    tx.update(Key::grant(&lease.grant), &grant)?;
    Ok(true)
}

/// Revokes the grant, where the lease is still its holder's.
pub(super) fn revoke(tx: &mut Tx<'_>, lease: Lease, now: Timestamp) -> Result<Option<Entry>, StoreError> {
    if leased(tx, &lease)?.is_none() {
        return Ok(None);
    }
    revocation::revoke(tx, Scope::Grant(lease.grant), now).map(Some)
}

/// The live grant, where its version is still the leased one.
fn leased_version(tx: &Tx<'_>, lease: &Lease) -> Result<Option<Kept<Grant>>, StoreError> {
    let grant = revocation::live(tx, &lease.grant)?;
    Ok(grant.filter(|grant| grant.row.upstream.version == lease.version))
}

/// The same, where nobody has taken the lease over either.
fn leased(tx: &Tx<'_>, lease: &Lease) -> Result<Option<Kept<Grant>>, StoreError> {
    let grant = leased_version(tx, lease)?;
    Ok(grant.filter(|grant| grant.row.upstream.renewal.is_held_by(lease.attempt)))
}

//! One refresh: leased, asked for, kept.
//!
//! The order is what makes it hold. The lease is durable before the provider is asked, so that no other process
//! shows it the same refresh token; what the provider gives is durable before anybody uses it. A process that dies
//! between the provider's answer and our write loses that answer: providers that rotate will then refuse the old
//! refresh token, and the user logs in again. No order avoids this, since the provider and the store cannot commit
//! together. Where the user is to be asked about, what the provider gave is kept before, and used after.

use std::time::Duration;

use portcullis_proto::seal::{Field, OpenError, SealingKey};
use secrecy::SecretString;
use thiserror::Error;
use tokio::time::{interval, timeout};

use super::backoff::{Backoff, draw};
use super::gate::{Gate, Pass, Shut};
use super::recheck::Verdict;
use super::seal::seal;
use super::{AHEAD, PATIENCE, recheck};
use crate::acting::{self, ActingError};
use crate::app::App;
use crate::metrics::{Metrics, ScopeLabel};
use crate::oauth::grant::{Grant, Upstream};
use crate::oauth::renewal::{self, Busy};
use crate::provider::{self, AppCredentials, Provider, ProviderError, ProviderTokens};
use crate::store::StoreError;
use crate::store::lease::{Lease, Leasing};

/// How long a provider is waited for. A refresh makes two requests at most, one for the metadata and one for the
/// token, and may wait for another's request for the metadata before: each of the three ends by its own deadline.
const CALL: Duration = provider::DEADLINE.saturating_mul(3);
/// How long a lease lives whose holder does not end it.
///
/// It must outlast the call and the write of its result, on the clock of whichever replica looks at it: were it
/// shorter, a second replica would show the provider a refresh token that the first has just used up, which
/// providers take for theft. The margin over [`CALL`] is what clocks may differ and a write may take. It must be
/// shorter than [`AHEAD`], so that a process that dies during a refresh leaves time for another one before
/// the credential expires.
pub(super) const LEASE: Duration = CALL.saturating_add(MARGIN);
const MARGIN: Duration = Duration::from_secs(15);
/// The same for the time in which the user is asked about, where that is to be done.
pub(super) const CHECK_LEASE: Duration = recheck::CALL.saturating_add(MARGIN);
const _: () = assert!(LEASE.as_secs() < AHEAD.as_secs() && LEASE.as_secs() <= renewal::LONGEST.as_secs());
const _: () = assert!(CALL.as_secs() + CHECK_LEASE.as_secs() < AHEAD.as_secs());

/// How long a grant's refresh is not tried again after it has failed.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), longest: renewal::LONGEST };
/// How often to look whether another replica has finished.
const LOOK: Duration = Duration::from_millis(50);

/// What a refresh came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is a new credential in the store.
    Refreshed,
    /// Not now.
    Failed,
    /// The provider has ended the grant, and so have we.
    Dead,
}

#[derive(Debug, Error)]
enum RefreshError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the grant's sealed tokens do not open")]
    Open(#[from] OpenError),
    #[error("the server or provider is not configured any more")]
    NotConfigured,
    #[error(transparent)]
    Acting(#[from] ActingError),
    #[error(transparent)]
    Shut(#[from] Shut),
    #[error("another refresh of the grant is under way")]
    Held,
    #[error("a refresh of the grant has failed a short while ago")]
    Deferred,
    #[error("the grant was refreshed elsewhere, or revoked")]
    Overtaken,
    #[error(transparent)]
    Ended(#[from] End),
}

/// Why a grant has ended.
#[derive(Clone, Copy, Debug, Error)]
enum End {
    #[error("the provider answered invalid_grant")]
    InvalidGrant,
    #[error("the credential has expired and there is no refresh token")]
    NoRefreshToken,
    #[error("the credential has expired and the provider client that it was given to is gone")]
    NoProviderClient,
    #[error("the user may not in any more")]
    NotAllowed,
}

/// What is needed to ask, and to keep what comes.
struct Request<'a> {
    provider: &'a dyn Provider,
    gate: &'a Gate,
    acting: AppCredentials,
    data_key: SealingKey,
    refresh_token: SecretString,
}

/// Refreshes this version of the grant's credential, where nobody else does.
pub(super) async fn refresh(app: &App, grant: &Grant) -> Outcome {
    let (outcome, label) = match attempt(app, grant).await {
        Ok(()) => (Outcome::Refreshed, "refreshed"),
        Err(RefreshError::Overtaken) => (Outcome::Refreshed, "overtaken"),
        Err(RefreshError::Held) => (await_the_other(app, grant).await, "held"),
        Err(RefreshError::Ended(End::InvalidGrant)) => (Outcome::Dead, "invalid_grant"),
        Err(RefreshError::Ended(End::NoRefreshToken | End::NoProviderClient)) => (Outcome::Dead, "expired"),
        Err(RefreshError::Ended(End::NotAllowed)) => (Outcome::Dead, "not_allowed"),
        // These can be many: what they follow from has been logged.
        Err(RefreshError::Deferred) => (Outcome::Failed, "deferred"),
        Err(RefreshError::Shut(Shut::Paused)) => (Outcome::Failed, "paused"),
        Err(RefreshError::Shut(Shut::Crowded)) => (Outcome::Failed, "crowded"),
        Err(error) => {
            tracing::warn!(grant = %grant.id, provider = %grant.provider, %error, "provider refresh failed");
            (Outcome::Failed, "failed")
        }
    };
    Metrics::count(&app.metrics.provider_refreshes, label);
    outcome
}

async fn attempt(app: &App, grant: &Grant) -> Result<(), RefreshError> {
    // The store decides. But what it said when the grant was read is known already, and spares a queue.
    if let Some(Busy::Deferred { .. }) = grant.upstream.renewal.busy(app.now()) {
        return Err(RefreshError::Deferred);
    }
    let request = match prepare(app, grant).await {
        Ok(Some(request)) => request,
        Ok(None) => return end(app, lease(app, grant).await?, End::NoRefreshToken).await,
        // A refresh token is good for the client that it was given to only: without that it is none.
        Err(RefreshError::Acting(ActingError::Lost)) if has_expired(app, grant) => {
            return end(app, lease(app, grant).await?, End::NoProviderClient).await;
        }
        Err(error) => return postpone(app, lease(app, grant).await?, error).await,
    };
    let pass = request.gate.enter().await?;
    let lease = lease(app, grant).await?;
    let answer = timeout(CALL, request.provider.refresh(&request.refresh_token, &request.acting, app.now()))
        .await
        .unwrap_or_else(|_| Err(ProviderError::Unreachable("no answer in time".into())));
    match answer {
        Ok(tokens) => keep(app, grant, lease, request, tokens, pass).await,
        Err(error) => {
            pass.report::<()>(&Err(error.clone()));
            if error.refuses_the_client() {
                acting::refused(app, &grant.provider, Some(&grant.client), &grant.acting).await;
            }
            match error {
                ProviderError::InvalidGrant => end(app, lease, End::InvalidGrant).await,
                error => postpone(app, lease, error.into()).await,
            }
        }
    }
}

fn has_expired(app: &App, grant: &Grant) -> bool {
    grant.upstream.credential_expires_at.is_some_and(|at| at <= app.believed_now())
}

/// `None` where there is no refresh token.
async fn prepare<'a>(app: &'a App, grant: &Grant) -> Result<Option<Request<'a>>, RefreshError> {
    let Some(sealed) = &grant.upstream.refresh_token else {
        return Ok(None);
    };
    let provider = app.providers.get(&grant.provider).ok_or(RefreshError::NotConfigured)?;
    let gate = app.upstreams.gates.get(&grant.provider).ok_or(RefreshError::NotConfigured)?;
    let acting = acting::recall(app, &grant.provider, Some(&grant.client), &grant.acting).await?;
    let data_key = app.keys.unwrap_key(&grant.master_key, &grant.id, &grant.data_key)?;
    let refresh_token = data_key.open(&grant.id, Field::ProviderRefreshToken, sealed)?;
    let refresh_token = SecretString::from(std::str::from_utf8(&refresh_token).map_err(|_| OpenError)?);
    Ok(Some(Request { provider: provider.as_ref(), gate, acting, data_key, refresh_token }))
}

async fn lease(app: &App, grant: &Grant) -> Result<Lease, RefreshError> {
    let now = app.now();
    match app.store.lease(&grant.id, grant.upstream.version, now, now.after(LEASE)).await? {
        Leasing::Leased(lease) => Ok(lease),
        Leasing::Busy(Busy::Held { .. }) => Err(RefreshError::Held),
        Leasing::Busy(Busy::Deferred { .. }) => Err(RefreshError::Deferred),
        Leasing::Overtaken | Leasing::Gone => Err(RefreshError::Overtaken),
    }
}

/// Makes durable what the provider gave, and its successor of what there was: at once, or once it is known that the
/// user may still in.
async fn keep(
    app: &App,
    grant: &Grant,
    lease: Lease,
    request: Request<'_>,
    tokens: ProviderTokens,
    pass: Pass<'_>,
) -> Result<(), RefreshError> {
    let Request { provider, acting, data_key, refresh_token, .. } = request;
    // Many providers send no new refresh token: then the old one stays good.
    let tokens = ProviderTokens { refresh_token: tokens.refresh_token.or(Some(refresh_token)), ..tokens };
    let next = grant.upstream.version + 1;
    let upstream = seal(app.random.as_ref(), &data_key, &grant.id, &tokens, next);
    let Some(rules) = recheck::due(app, grant) else {
        pass.report(&Ok(()));
        return use_now(app, grant, lease, upstream).await;
    };

    let unchecked = recheck::unchecked(grant, upstream.clone());
    let until = app.now().after(CHECK_LEASE);
    let Some(lease) = app.store.keep_upstream(lease, unchecked, until).await? else {
        pass.report(&Ok(()));
        return Err(overtaken(grant));
    };
    let verdict = recheck::verdict(grant, rules, provider, &acting, &tokens, app.now()).await;
    pass.report(&verdict);
    match verdict {
        Ok(Verdict::MayStay) => use_now(app, grant, lease, upstream).await,
        Ok(Verdict::MayNot) => end(app, lease, End::NotAllowed).await,
        Err(error) => postpone(app, lease, error.into()).await,
    }
}

/// Replaces what there was by what the provider gave.
async fn use_now(app: &App, grant: &Grant, lease: Lease, upstream: Upstream) -> Result<(), RefreshError> {
    if !app.store.update_upstream(lease, upstream).await? {
        return Err(overtaken(grant));
    }
    tracing::info!(grant = %grant.id, provider = %grant.provider, "provider credential refreshed");
    Ok(())
}

fn overtaken(grant: &Grant) -> RefreshError {
    tracing::warn!(
        grant = %grant.id,
        provider = %grant.provider,
        "the provider's answer is not kept: the grant was refreshed elsewhere, or revoked"
    );
    RefreshError::Overtaken
}

/// Leaves the grant alone for a while, longer after each failure.
async fn postpone(app: &App, lease: Lease, failure: RefreshError) -> Result<(), RefreshError> {
    let pause = BACKOFF.after(lease.attempt(), draw(app.random.as_ref()));
    app.store.defer(lease, app.now().after(pause)).await?;
    Err(failure)
}

/// Revokes the grant: only a new login helps.
async fn end(app: &App, lease: Lease, why: End) -> Result<(), RefreshError> {
    let Some(entry) = app.store.revoke_leased(lease, app.now()).await? else {
        return Err(RefreshError::Overtaken);
    };
    app.metrics.revocations.get_or_create(&ScopeLabel { scope: "grant" }).inc();
    tracing::info!(sequence = entry.sequence.0, scope = ?entry.scope, by = %why, "revoked");
    Err(why.into())
}

/// Waits for another replica's refresh for as long as anybody may be waiting for ours.
async fn await_the_other(app: &App, grant: &Grant) -> Outcome {
    let mut look = interval(LOOK);
    let done = async {
        loop {
            look.tick().await;
            match app.store.live_grant(&grant.id).await {
                Ok(Some(now)) if is_going_on(app, grant, &now) => {}
                Ok(_) => return Outcome::Refreshed,
                Err(_) => return Outcome::Failed,
            }
        }
    };
    timeout(PATIENCE, done).await.unwrap_or(Outcome::Failed)
}

/// Whether there is no result yet: no new version, or one that is being asked about.
fn is_going_on(app: &App, before: &Grant, now: &Grant) -> bool {
    now.upstream.version == before.upstream.version
        || matches!(now.upstream.renewal.busy(app.now()), Some(Busy::Held { .. }))
}

//! Keeping the provider's credentials fresh: one refresh at a time for each grant, durable before it is
//! used, and no retry storm.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use portcullis_proto::ids::GrantId;
use portcullis_proto::random::Random;
use portcullis_proto::revocation::Scope;
use portcullis_proto::seal::{Field, OpenError, SealingKey};
use portcullis_proto::time::Timestamp;
use portcullis_proto::v1;
use prost::Message;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::app::App;
use crate::config::CredentialMode;
use crate::metrics::Metrics;
use crate::oauth::grant::{Grant, Upstream};
use crate::provider::{ProviderError, ProviderTokens};
use crate::store::StoreError;

/// A credential that has less than this left is refreshed when it is asked for. Authz asks a minute ahead.
const AHEAD: Duration = Duration::from_secs(75);
/// How long a refresh is waited for. Authz waits 800 ms for us: it had better hear of a credential that is
/// still good, or that there is none yet. The refresh goes on.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a refresh's outcome stands, and so how long a failed one is not tried again.
const OUTCOME_STANDS: Duration = Duration::from_secs(5);

/// Refreshes under way, and the latest outcomes.
pub struct Upstreams {
    /// A grant's version counts its refreshes, so each of them is one key.
    outcomes: Cache<(GrantId, u64), Outcome>,
    tasks: TaskTracker,
}

/// What a refresh came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// There is a new credential in the store.
    Refreshed,
    /// Not now.
    Failed,
    /// The provider has ended the grant, and so have we.
    Dead,
}

/// Where a grant's credential stands.
#[derive(Debug)]
pub enum Freshness {
    /// Good for use; the grant as it is now stored.
    Good(Box<Grant>),
    /// Expired, and cannot be renewed at the moment.
    Unavailable,
    /// Only a new login helps.
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
    #[error("there is no refresh token")]
    NoRefreshToken,
    #[error("the grant was refreshed elsewhere, or revoked")]
    Overtaken,
}

// === impl Upstreams ===

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            outcomes: Cache::builder().max_capacity(100_000).time_to_live(OUTCOME_STANDS).build(),
            tasks: TaskTracker::new(),
        }
    }
}

impl Upstreams {
    /// Waits for the refreshes under way: what a provider has given in place of an old token must not be lost.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The grant with a credential that is good at `now`, refreshed where it is about to expire.
pub async fn freshen(app: &Arc<App>, grant: Grant, now: Timestamp) -> Result<Freshness, StoreError> {
    freshen_within(PATIENCE, app, grant, now).await
}

async fn freshen_within(
    patience: Duration,
    app: &Arc<App>,
    grant: Grant,
    now: Timestamp,
) -> Result<Freshness, StoreError> {
    let expires_at = grant.upstream.credential_expires_at;
    let expired = expires_at.is_some_and(|at| at <= now);
    let expires_soon = expires_at.is_some_and(|at| at <= now.after(AHEAD));
    if !expires_soon || (!expired && grant.upstream.refresh_token.is_none()) {
        return Ok(Freshness::Good(Box::new(grant)));
    }
    // A task of its own, single flight included. Whoever asks may go away: then the provider's answer must
    // not be lost, and nobody may show it the same refresh token a second time.
    let task = app.upstreams.tasks.spawn(renew(app.clone(), grant.clone()));
    let outcome = match timeout(patience, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) | Err(_) => Outcome::Failed,
    };
    Ok(match outcome {
        Outcome::Refreshed => match app.store.live_grant(&grant.id).await? {
            Some(grant) => Freshness::Good(Box::new(grant)),
            None => Freshness::Dead,
        },
        Outcome::Failed if expired => Freshness::Unavailable,
        Outcome::Failed => Freshness::Good(Box::new(grant)),
        Outcome::Dead => Freshness::Dead,
    })
}

/// Refreshes this version of the grant's credential, once: whoever comes meanwhile gets the same outcome.
async fn renew(app: Arc<App>, grant: Grant) -> Outcome {
    let key = (grant.id.clone(), grant.upstream.version);
    app.upstreams.outcomes.get_with(key, attempt(&app, &grant)).await
}

async fn attempt(app: &App, grant: &Grant) -> Outcome {
    let (outcome, label) = match refresh(app, grant).await {
        Ok(()) | Err(RefreshError::Overtaken) => (Outcome::Refreshed, "refreshed"),
        Err(RefreshError::Provider(ProviderError::InvalidGrant)) => {
            (end(app, grant, "the provider answered invalid_grant").await, "invalid_grant")
        }
        Err(RefreshError::NoRefreshToken) => {
            (end(app, grant, "the credential has expired and there is no refresh token").await, "expired")
        }
        Err(error) => {
            tracing::warn!(grant = %grant.id, provider = %grant.provider, %error, "provider refresh failed");
            (Outcome::Failed, "failed")
        }
    };
    Metrics::count(&app.metrics.provider_refreshes, label);
    outcome
}

async fn refresh(app: &App, grant: &Grant) -> Result<(), RefreshError> {
    let replaces = grant.upstream.version;
    // Whoever read the grant a while ago may come after the refresh: its refresh token may be used up.
    let current = app.store.live_grant(&grant.id).await?;
    if current.is_none_or(|current| current.upstream.version != replaces) {
        return Err(RefreshError::Overtaken);
    }
    let sealed = grant.upstream.refresh_token.as_ref().ok_or(RefreshError::NoRefreshToken)?;
    let (server, _) = app.server(&grant.server).ok_or(RefreshError::NotConfigured)?;
    let provider = app.providers.get(&grant.provider).ok_or(RefreshError::NotConfigured)?;
    let data_key = app.keys.unwrap_key(&grant.master_key, &grant.id, &grant.data_key)?;
    let refresh_token = data_key.open(&grant.id, Field::ProviderRefreshToken, sealed)?;
    let refresh_token = SecretString::from(std::str::from_utf8(&refresh_token).map_err(|_| OpenError)?);
    let tokens = provider.refresh(&refresh_token, app.now()).await?;
    // Many providers send no new refresh token: then the old one stays good.
    let tokens = ProviderTokens { refresh_token: tokens.refresh_token.or(Some(refresh_token)), ..tokens };
    let upstream = seal(app.random.as_ref(), &data_key, &grant.id, server.credential, &tokens, replaces + 1);
    if app.store.update_upstream(&grant.id, replaces, upstream).await? {
        tracing::info!(grant = %grant.id, provider = %grant.provider, "provider credential refreshed");
        Ok(())
    } else {
        Err(RefreshError::Overtaken)
    }
}

/// Revokes the grant: only a new login helps.
async fn end(app: &App, grant: &Grant, why: &'static str) -> Outcome {
    match app.revoke(Scope::Grant(grant.id.clone()), why).await {
        Ok(_) => Outcome::Dead,
        Err(error) => {
            tracing::error!(grant = %grant.id, %error, "a dead grant could not be revoked");
            Outcome::Failed
        }
    }
}

/// Seals what a provider gave, in the form in which the MCP server is to get it.
pub fn seal(
    random: &dyn Random,
    data_key: &SealingKey,
    grant: &GrantId,
    mode: CredentialMode,
    tokens: &ProviderTokens,
    version: u64,
) -> Upstream {
    let header = match mode {
        CredentialMode::ProviderToken => v1::Header {
            name: "authorization".into(),
            value: format!("Bearer {}", tokens.access_token.expose_secret()),
        },
    };
    let credential = Zeroizing::new(v1::Credential { headers: vec![header] }.encode_to_vec());
    let seal_refresh_token = |token: &SecretString| {
        data_key.seal(random, grant, Field::ProviderRefreshToken, token.expose_secret().as_bytes())
    };
    Upstream {
        credential: data_key.seal(random, grant, Field::Credential, &credential),
        credential_expires_at: tokens.expires_at,
        refresh_token: tokens.refresh_token.as_ref().map(seal_refresh_token),
        version,
    }
}

#[cfg(test)]
mod tests;

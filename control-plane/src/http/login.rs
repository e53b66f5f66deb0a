//! Beginning a login at a provider, whatever it is for. `callback` finishes it.

use portcullis_proto::ids::ProviderName;
use portcullis_proto::random;

use super::browser::Browser;
use crate::acting::{Acting, ActingError};
use crate::app::App;
use crate::config::Server;
use crate::issuer::Issuer;
use crate::limit::Limit;
use crate::oauth::admission::NO_QUESTIONS;
use crate::oauth::pending::{BrowserId, Pending, Purpose, StateId};
use crate::provider::{AppCredentials, Login, ProviderError};
use crate::store::{Begun, StoreError};

/// A login that has begun: where it goes on, and at which provider.
pub struct Started {
    /// The provider's page.
    pub url: String,
    /// The provider's name.
    pub provider: String,
}

/// Why a login could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The configuration has changed.
    #[error("the server or its provider is not configured")]
    NotConfigured,
    /// There are too many of something.
    #[error("{}", .0.reached())]
    Limit(Limit),
    /// Nobody can act at the provider.
    #[error(transparent)]
    Acting(#[from] ActingError),
    /// The provider cannot be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Begins a login for this browser.
pub async fn begin(
    app: &App,
    issuer: &Issuer,
    browser: &Browser,
    provider: &ProviderName,
    acting: Acting,
    purpose: Purpose,
) -> Result<Started, BeginError> {
    let upstream = app.providers.get(provider).ok_or(BeginError::NotConfigured)?;
    let random = app.random.as_ref();
    let state = random::base62(random, 43);
    let pending = Pending {
        provider: provider.clone(),
        acting: acting.client,
        browser: BrowserId::of(browser.as_str()),
        verifier: random::base62(random, 43),
        nonce: random::base62(random, 43),
        born: None,
        expires_at: app.now().after(app.config.lifetimes.pending),
        purpose,
    };
    let url = upstream.authorization_url(&login(app, issuer, &acting.credentials, &pending, &state)).await?;
    match app.store.begin(StateId::of(&state), pending, app.config.limits.pending).await? {
        Begun::Done => Ok(Started { url: url.into(), provider: provider.to_string() }),
        Begun::Full => Err(BeginError::Limit(Limit::Pending)),
        Begun::TooMany => Err(BeginError::Limit(Limit::PendingInBrowser)),
    }
}

/// The login as the provider sees it: the same when it begins and when its code is exchanged.
pub fn login<'a>(
    app: &'a App,
    issuer: &'a Issuer,
    acting: &'a AppCredentials,
    pending: &'a Pending,
    state: &'a str,
) -> Login<'a> {
    let server = match &pending.purpose {
        Purpose::Authorization(request) => app.config.servers.get(&request.server),
        Purpose::Account { .. } => None,
    };
    Login {
        acting,
        redirect_uri: &issuer.callback,
        state,
        nonce: &pending.nonce,
        verifier: &pending.verifier,
        scopes: pending.purpose.scopes(),
        questions: server.map_or(&NO_QUESTIONS, Server::questions),
    }
}

// === impl BeginError ===

impl BeginError {
    /// The limit that was reached, where it was one.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::Limit(limit) => Some(*limit),
            Self::Acting(ActingError::Full) => Some(Limit::ProviderClients),
            Self::Acting(ActingError::TooManyUnused) => Some(Limit::UnusedClients),
            _ => None,
        }
    }

    /// Whether it is the provider that will have no client registered, now and later.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Acting(ActingError::Provider(ProviderError::NoRegistration | ProviderError::Refused(_)))
        )
    }
}

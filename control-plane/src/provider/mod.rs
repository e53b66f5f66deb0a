//! Where users log in. One file a kind. `oidc` and `oauth2` do what the standards say; `google` and `entra` are
//! `oidc` with other [`Rules`](oidc::Rules), `github` is `oauth2` and what GitHub's API adds, and `workos` stands
//! for itself.
//!
//! A new kind is a new file with its settings and its [`Provider`], and a line in [`Settings`] and its methods.
//! What the kinds share stands beside them: `http` (every request), `authorization` (the URL for the browser),
//! `token_endpoint`, `client_key`, `identity` (what is taken over of a user), `cached`.

mod authorization;
mod cached;
mod client_key;
mod entra;
mod github;
mod google;
mod http;
mod identity;
mod oauth2;
mod oidc;
mod token_endpoint;
mod workos;

#[cfg(test)]
pub(crate) mod testing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_proto::ids::Subject;
use portcullis_proto::time::Timestamp;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

pub use authorization::OWN_PARAMETERS;
pub use client_key::{ClientKey, ClientKeyError};
pub use entra::{EntraSettings, Tenant};
pub use github::GitHubSettings;
pub use google::GoogleSettings;
pub(crate) use http::DEADLINE;
pub use http::Http;
pub(crate) use identity::is_domain;
pub use oauth2::OAuth2Settings;
pub use oidc::{KeySet, OidcSettings};
pub use workos::{Selector, WorkOsSettings};

/// How a provider is configured, by kind.
#[derive(Clone, Debug)]
pub enum Settings {
    /// `kind: oidc`.
    Oidc(OidcSettings),
    /// `kind: oauth2`.
    OAuth2(OAuth2Settings),
    /// `kind: google`.
    Google(GoogleSettings),
    /// `kind: github`.
    GitHub(GitHubSettings),
    /// `kind: entra`.
    Entra(EntraSettings),
    /// `kind: workos`.
    WorkOs(WorkOsSettings),
}

/// What every kind has: the one app that Portcullis is at the provider.
#[derive(Clone, Debug)]
pub struct App {
    /// `client_id`.
    pub client_id: String,
    /// How it proves that it is itself.
    pub client_auth: ClientAuth,
    /// `scopes`: asked for at every login, beside what the client asks for.
    pub scopes: Vec<String>,
    /// `authorize_parameters`: added to the authorization request, such as `prompt: consent`.
    pub authorize_parameters: Vec<(String, String)>,
}

/// How the app authenticates at the token endpoint, and with what.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// `client_secret_basic` (RFC 6749 section 2.3.1).
    Basic(SecretString),
    /// `client_secret_post`: the secret goes into the body.
    Post(SecretString),
    /// `private_key_jwt` (OpenID Connect Core section 9).
    PrivateKeyJwt(ClientKey),
}

/// A provider that users can log in at.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Where to send the browser.
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError>;

    /// Whether `iss` of an authorization response is right (RFC 9207 section 2.4): where it came it must be
    /// the provider's issuer, and where the provider says that it sends one it must have come.
    async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError>;

    /// Exchanges the code and finds out who the user is. `login` is what
    /// [`authorization_url`](Self::authorization_url) was given.
    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError>;

    /// Gets a new access token. An answer without a refresh token leaves the old one good.
    async fn refresh(
        &self,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError>;
}

/// One login, as the provider sees it.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// Our callback, as registered at the provider.
    pub redirect_uri: &'a Url,
    /// Our `state`.
    pub state: &'a str,
    /// Our `nonce` (OpenID Connect Core section 3.1.2.1).
    pub nonce: &'a str,
    /// Our PKCE verifier; S256 is what is sent of it.
    pub verifier: &'a str,
    /// What is asked for, beside the app's own scopes.
    pub scopes: &'a [String],
}

/// Who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's immutable identifier.
    pub subject: Subject,
    /// The e-mail address, where the provider names one. Not necessarily verified: display data.
    pub email: Option<String>,
}

/// What a provider's token endpoint gave.
#[derive(Clone, Debug)]
pub struct ProviderTokens {
    /// `access_token`.
    pub access_token: SecretString,
    /// From `expires_in`; `None` where the provider names none.
    pub expires_at: Option<Timestamp>,
    /// `refresh_token`, where there is one.
    pub refresh_token: Option<SecretString>,
}

/// Why a provider cannot be used right now, or at all. No text of it carries a secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProviderError {
    /// No answer, or none in time, or 408, 429 or a 5xx: may pass.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// The same, and it says for how long (`Retry-After`, RFC 9110 section 10.2.3, where that is in seconds).
    #[error("the provider wants to be left alone for {} s: {reason}", retry_after.as_secs())]
    Busy {
        /// The status.
        reason: String,
        /// As the provider says it: not bounded.
        retry_after: Duration,
    },
    /// `invalid_grant`: the code or refresh token is dead, and stays so (RFC 6749 section 5.2).
    #[error("the provider says invalid_grant")]
    InvalidGrant,
    /// Any other OAuth error, by its code, or a status of 400 or above without one.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// An answer that makes no sense.
    #[error("the provider's answer is malformed: {0}")]
    Malformed(String),
    /// `iss` is missing or another's: perhaps a mix-up attack.
    #[error("the answer's issuer is not the provider's")]
    Issuer,
    /// The ID token does not prove what it must.
    #[error("the ID token is refused: {0}")]
    IdToken(String),
    /// The provider knows the user, but the configuration lets only some of its users in, and not this one.
    #[error("the user may not log in here: {0}")]
    NotAllowed(String),
}

// === impl Settings ===

impl Settings {
    /// The provider itself. Asks nothing of it yet: it may be down while we start.
    pub fn connect(&self, http: Http) -> Arc<dyn Provider> {
        match self.clone() {
            Self::Oidc(settings) => Arc::new(oidc::Oidc::new(settings, http)),
            Self::OAuth2(settings) => Arc::new(oauth2::OAuth2::new(settings, http)),
            Self::Google(settings) => Arc::new(settings.connect(http)),
            Self::GitHub(settings) => Arc::new(github::GitHub::new(settings, http)),
            Self::Entra(settings) => Arc::new(settings.connect(http)),
            Self::WorkOs(settings) => Arc::new(workos::WorkOs::new(settings, http)),
        }
    }

    /// The app at the provider.
    pub fn app(&self) -> &App {
        match self {
            Self::Oidc(settings) => &settings.app,
            Self::OAuth2(settings) => &settings.app,
            Self::Google(settings) => &settings.app,
            Self::GitHub(settings) => &settings.app,
            Self::Entra(settings) => &settings.app,
            Self::WorkOs(settings) => &settings.app,
        }
    }
}

// === impl Login ===

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who knows the rest can finish the login.
        f.debug_struct("Login").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

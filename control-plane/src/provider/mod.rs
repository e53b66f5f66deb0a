//! Where users log in. One file a kind: `oidc`, `oauth2`.
//!
//! A new kind is a new file with its settings and its [`Provider`], and a line in [`Settings`] and in
//! [`Settings::connect`]. What the kinds share stands beside them: `http` (every request), `authorization`
//! (the URL for the browser), `token_endpoint`, `identity` (what is taken over of a user), `cached`.

mod authorization;
mod cached;
mod http;
mod identity;
mod oauth2;
mod oidc;
mod token_endpoint;

#[cfg(test)]
mod testing;

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
pub(crate) use http::DEADLINE;
pub use http::Http;
pub use oauth2::OAuth2Settings;
pub use oidc::OidcSettings;

/// How a provider is configured, by kind.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each provider, made once at start")]
pub enum Settings {
    /// `kind: oidc`.
    Oidc(OidcSettings),
    /// `kind: oauth2`.
    OAuth2(OAuth2Settings),
}

/// What every kind has: the one app that Portcullis is at the provider.
#[derive(Clone, Debug)]
pub struct App {
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub client_secret: SecretString,
    /// `client_auth`: how the secret is sent to the token endpoint.
    pub client_auth: ClientAuth,
    /// `scopes`: asked for at every login, beside what the client asks for.
    pub scopes: Vec<String>,
    /// `authorize_parameters`: added to the authorization request, such as `prompt: consent`.
    pub authorize_parameters: Vec<(String, String)>,
}

/// How the app authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic` (RFC 6749 section 2.3.1).
    #[default]
    Basic,
    /// `client_secret_post`.
    Post,
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
}

// === impl Settings ===

impl Settings {
    /// The provider itself. Asks nothing of it yet: it may be down while we start.
    pub fn connect(&self, http: Http) -> Arc<dyn Provider> {
        match self {
            Self::Oidc(settings) => Arc::new(oidc::Oidc::new(settings.clone(), http)),
            Self::OAuth2(settings) => Arc::new(oauth2::OAuth2::new(settings.clone(), http)),
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

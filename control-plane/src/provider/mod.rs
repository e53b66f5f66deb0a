//! Where users log in. One file a kind. `oidc` and `oauth2` do what the standards say; `google` and `entra` are
//! `oidc` with other [`Rules`](oidc::Rules), `github` is `oauth2` and what GitHub's API adds, and `workos` stands
//! for itself.
//!
//! A new kind is a new file with its settings and its [`Provider`], and a line in [`Settings`] and its methods.
//! What the kinds share stands beside them: `http` (every request), `authorization` (the URL for the browser),
//! `token_endpoint`, `client_key`, `identity` (what is taken over of a user), `registration` (of clients that are not
//! configured), `cached`.

mod authorization;
mod cached;
mod client_key;
mod entra;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod github;
mod google;
mod http;
mod identity;
mod oauth2;
mod oidc;
mod registration;
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

use crate::oauth::admission::{Facts, Questions};

pub use authorization::OWN_PARAMETERS;
pub use client_key::{ClientKey, ClientKeyError};
pub use entra::{EntraSettings, Tenant};
pub use github::GitHubSettings;
pub use google::GoogleSettings;
pub(crate) use http::DEADLINE;
pub use http::Http;
pub(crate) use identity::{is_domain, subject};
pub use oauth2::OAuth2Settings;
pub use oidc::{KeySet, OidcSettings};
pub use registration::{DynamicRegistration, Enrolment, Management, NewClient, RegisteredClient};
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

/// What every kind has: the app that Portcullis is at the provider, and what it asks for.
#[derive(Clone, Debug)]
pub struct App {
    /// Who it is there.
    pub identity: AppIdentity,
    /// `scopes`: asked for at every login, beside what the client asks for.
    pub scopes: Vec<String>,
    /// `authorize_parameters`: added to the authorization request, such as `prompt: consent`.
    pub authorize_parameters: Vec<(String, String)>,
}

/// Who Portcullis is at the provider.
#[derive(Clone, Debug)]
pub enum AppIdentity {
    /// `client_id`: one app for all MCP clients.
    Fixed(AppCredentials),
    /// `registration: dynamic`: a client of its own for each MCP client.
    Dynamic(DynamicRegistration),
}

/// A client of the provider (RFC 6749 section 2): the one that a request is made as.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// `client_id`.
    pub client_id: String,
    /// How it proves that it is itself.
    pub auth: ClientAuth,
}

/// How the app authenticates at the token endpoint, and with what.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// `none`: not at all. PKCE ties the code to it.
    None,
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

    /// Whether the provider is known to call itself so. Then no other provider's answer has this as its `iss`.
    fn is_issuer(&self, _iss: &str) -> bool {
        false
    }

    /// Exchanges the code and finds out who the user is. `login` is what
    /// [`authorization_url`](Self::authorization_url) was given.
    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError>;

    /// Gets a new access token, as the client that the refresh token was given to. An answer without a refresh token
    /// leaves the old one good.
    async fn refresh(
        &self,
        refresh_token: &SecretString,
        acting: &AppCredentials,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError>;

    /// Makes a new client at the provider, where it lets clients register.
    async fn register(&self, _client: &NewClient<'_>) -> Result<Enrolment, ProviderError> {
        Err(ProviderError::NoRegistration)
    }

    /// Takes such a client back (RFC 7592 section 2.3).
    async fn deregister(&self, _client: &Management) -> Result<(), ProviderError> {
        Err(ProviderError::NoRegistration)
    }
    /// Who the user is by now, as far as `questions` ask, by what a refresh has just brought. That it is the user
    /// who logged in is for the caller to see. `acting` is who refreshed. `None` where the provider says nothing of a user after the login.
    async fn identify(
        &self,
        tokens: &ProviderTokens,
        acting: &AppCredentials,
        questions: &Questions,
        now: Timestamp,
    ) -> Result<Option<Identity>, ProviderError>;
}

/// One login, as the provider sees it.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// Which client of the provider asks.
    pub acting: &'a AppCredentials,
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
    /// What is to be found out about the user.
    pub questions: &'a Questions,
}

/// Who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's immutable identifier.
    pub subject: Subject,
    /// The e-mail address, where the provider names one. Not necessarily verified: display data, unless
    /// [`Facts::email_verified`].
    pub email: Option<String>,
    /// What else was asked about.
    pub facts: Facts,
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
    /// `id_token` (OpenID Connect Core sections 3.1.3.3 and 12.2), unchecked. It is not kept.
    pub id_token: Option<SecretString>,
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
    /// The provider lets no client register in a way that we know.
    #[error("it offers neither registration (RFC 7591) nor client ID metadata documents that it could fetch")]
    NoRegistration,
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

    /// Whether each MCP client is a client of its own there, and Portcullis itself is none.
    pub fn registers(&self) -> bool {
        matches!(self.app().identity, AppIdentity::Dynamic(_))
    }

    /// Whether users of any number of organizations may log in, each with claims that its own administrators choose.
    pub fn is_of_several(&self) -> bool {
        match self {
            Self::Entra(settings) => settings.tenant.is_several() && settings.allowed_tenants.is_empty(),
            Self::WorkOs(settings) => !matches!(settings.selector, Selector::Organization(_)),
            Self::Oidc(_) | Self::OAuth2(_) | Self::Google(_) | Self::GitHub(_) => false,
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

    /// Who the provider is, where clients can be registered at it: what is compared before one's secret is used.
    pub fn authority(&self) -> Option<&str> {
        match self {
            Self::Oidc(settings) => Some(&settings.issuer),
            Self::OAuth2(settings) => Some(settings.token_endpoint.as_str()),
            Self::Google(_) | Self::GitHub(_) | Self::Entra(_) | Self::WorkOs(_) => None,
        }
    }
}

// === impl ProviderError ===

impl ProviderError {
    /// Whether the provider does not know the client that has asked, or not by this secret (RFC 6749 section 5.2).
    pub fn refuses_the_client(&self) -> bool {
        matches!(self, Self::Refused(code) if code == "invalid_client")
    }
}

// === impl Login ===

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who knows the rest can finish the login.
        f.debug_struct("Login").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! Where users log in. One file a kind: `oidc`, `oauth2`.
//!
//! A new kind is a new file with its `Settings` and its [`Provider`], and a line in [`Settings`].

use async_trait::async_trait;
use portcullis_proto::ids::Subject;
use portcullis_proto::time::Timestamp;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

/// How a provider is configured, by kind.
#[derive(Clone, Debug)]
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

/// `kind: oidc`: everything else is discovered (OpenID Connect Discovery 1.0).
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// `issuer`: as the provider writes it, to the letter.
    pub issuer: String,
    /// The app.
    pub app: App,
}

/// `kind: oauth2`: explicit endpoints; who the user is, a request with the access token tells.
#[derive(Clone, Debug)]
pub struct OAuth2Settings {
    /// `authorization_endpoint`.
    pub authorization_endpoint: Url,
    /// `token_endpoint`.
    pub token_endpoint: Url,
    /// `userinfo.url`: asked with the access token as bearer; answers a JSON object.
    pub userinfo_endpoint: Url,
    /// `userinfo.subject`: the member with the user's immutable identifier, a string or a number; `sub` by default.
    pub subject_member: String,
    /// `userinfo.email`: the member with the e-mail address; `email` by default.
    pub email_member: String,
    /// `issuer`: what `iss` in authorization responses must be, where the provider sends it (RFC 9207).
    pub issuer: Option<String>,
    /// The app.
    pub app: App,
}

/// A provider that users can log in at.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Where to send the browser.
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError>;

    /// Whether `iss` of an authorization response is right (RFC 9207 section 2.4): where it came it must be
    /// the provider's issuer, and where the provider says that it sends one it must have come.
    async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError>;

    /// Exchanges the code and finds out who the user is.
    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError>;

    /// Gets a new access token.
    async fn refresh(
        &self,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError>;
}

/// One login, as the provider sees it.
#[derive(Clone, Copy, Debug)]
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
#[derive(Debug, Error)]
pub enum ProviderError {
    /// No answer, or none in time, or a 5xx: may pass.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// `invalid_grant`: the code or refresh token is dead, and stays so (RFC 6749 section 5.2).
    #[error("the provider says invalid_grant")]
    InvalidGrant,
    /// Any other OAuth error.
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

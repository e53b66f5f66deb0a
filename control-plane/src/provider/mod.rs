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

//! `kind: oidc`: a provider with OpenID Connect.

mod discovery;
mod id_token;
mod jwks;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use self::discovery::Discovery;
pub(super) use self::id_token::{Claims, refused, require};
use self::id_token::{Expected, Unverified};
pub use self::jwks::KeySet;
pub(super) use self::rules::Rules;
use self::rules::Standard;
use super::cached::Cached;
use super::token_endpoint::{Exchanged, TokenEndpoint};
use super::{App, Http, Identity, Login, Provider, ProviderError, ProviderTokens, authorization, identity};

/// How long the discovery document and the key set are kept.
const MAX_AGE: Duration = Duration::from_hours(1);

/// How old the key set must be for a key that is not in it to be worth a fetch. Providers announce a key
/// before they use it, or rotate seldom; what names unknown keys more often than that is no provider's token.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_mins(1);

/// `kind: oidc`: everything else is discovered (OpenID Connect Discovery 1.0).
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// `issuer`: as the provider writes it, to the letter.
    pub issuer: String,
    /// The app.
    pub app: App,
}

/// A provider of this kind. What it has to say of itself is asked when it is first needed.
#[derive(Debug)]
pub(super) struct Oidc {
    settings: OidcSettings,
    rules: Box<dyn Rules>,
    http: Http,
    discovery: Cached<Discovery>,
    keys: Cached<KeySet>,
}

/// The userinfo response (OpenID Connect Core section 5.3.2).
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    email: Option<Value>,
}

// === impl Oidc ===

impl Oidc {
    pub(super) fn new(settings: OidcSettings, http: Http) -> Self {
        Self::with_rules(settings, Box::new(Standard), http)
    }

    /// A provider that departs from the standard.
    pub(super) fn with_rules(settings: OidcSettings, rules: Box<dyn Rules>, http: Http) -> Self {
        Self { settings, rules, http, discovery: Cached::new(), keys: Cached::new() }
    }

    async fn discovery(&self) -> Result<Arc<Discovery>, ProviderError> {
        let fetch = discovery::fetch(&self.http, &self.settings.issuer, self.rules.as_ref());
        self.discovery.get(MAX_AGE, fetch).await
    }

    fn token_endpoint<'a>(&'a self, discovery: &'a Discovery) -> TokenEndpoint<'a> {
        TokenEndpoint::new(&discovery.token_endpoint, &self.settings.app, &self.http)
    }

    /// The claims of an ID token that its signature vouches for.
    async fn verify(&self, id_token: &SecretString, jwks_uri: &Url) -> Result<Claims, ProviderError> {
        let token = Unverified::parse(id_token.expose_secret())?;
        let known = self.keys.get(MAX_AGE, jwks::fetch(&self.http, jwks_uri)).await?;
        if let Some(key) = known.find(token.kid(), token.algorithm()) {
            return token.verify(key);
        }
        let newer = self.keys.get(UNKNOWN_KEY_INTERVAL, jwks::fetch(&self.http, jwks_uri)).await?;
        let key = newer
            .find(token.kid(), token.algorithm())
            .ok_or_else(|| ProviderError::IdToken("its key is not in the provider's key set".into()))?;
        token.verify(key)
    }

    /// The e-mail address that userinfo names. It is display data: without it the login goes on.
    async fn email(&self, endpoint: &Url, access_token: &SecretString, subject: &str) -> Option<String> {
        match self.http.get_json::<UserInfo>("userinfo", endpoint, Some(access_token)).await {
            // Without this check, another user's answer could be slipped in (OpenID Connect Core section 5.3.2).
            Ok(user) if user.sub == subject => identity::email(user.email.as_ref()),
            Ok(_) => {
                tracing::warn!("userinfo is about another user than the ID token; not used");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "no e-mail address from userinfo");
                None
            }
        }
    }
}

#[async_trait]
impl Provider for Oidc {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        let discovery = self.discovery().await?;
        let app = &self.settings.app;
        let scopes = authorization::scopes(self.rules.scopes(), app, login);
        Ok(authorization::url(&discovery.authorization_endpoint, app, login, &scopes, Some(login.nonce)))
    }

    async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        match iss {
            Some(iss) if self.rules.is_issuer(&self.settings.issuer, iss) => Ok(()),
            Some(_) => Err(ProviderError::Issuer),
            None if self.discovery().await?.sends_issuer => Err(ProviderError::Issuer),
            None => Ok(()),
        }
    }

    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError> {
        let app = &self.settings.app;
        let discovery = self.discovery().await?;
        let Exchanged { tokens, id_token } =
            self.token_endpoint(&discovery).exchange(code, login, now).await?;

        let id_token = id_token.ok_or_else(|| ProviderError::IdToken("there is none".into()))?;
        let claims = self.verify(&id_token, &discovery.jwks_uri).await?;
        let issuer = self.rules.token_issuer(&discovery.issuer, &claims)?;
        let expected = Expected { issuer: &issuer, client_id: &app.client_id, nonce: login.nonce };
        let identity = id_token::check(&claims, &expected, now)?;
        let mut identity = self.rules.admit(&claims, identity)?;

        let asked =
            authorization::scopes(self.rules.scopes(), app, login).iter().any(|scope| scope == "email");
        let endpoint = discovery.userinfo_endpoint.as_ref().filter(|_| self.rules.has_userinfo());
        if let (None, true, Some(endpoint)) = (&identity.email, asked, endpoint) {
            identity.email = self.email(endpoint, &tokens.access_token, &claims.sub).await;
        }
        Ok((identity, tokens))
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        let discovery = self.discovery().await?;
        self.token_endpoint(&discovery).refresh(refresh_token, now).await
    }
}

#[cfg(test)]
mod tests;

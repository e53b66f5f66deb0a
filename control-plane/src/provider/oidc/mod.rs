//! `kind: oidc`: a provider with OpenID Connect.

mod discovery;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod id_token;
mod jwks;
mod rules;
mod user;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::discovery::Discovery;
pub(super) use self::id_token::{Claims, refused, require};
use self::id_token::{Expected, Unverified};
pub use self::jwks::KeySet;
pub(super) use self::rules::Rules;
use self::rules::Standard;
use self::user::{User, UserInfo};
use super::cached::Cached;
use super::token_endpoint::TokenEndpoint;
use super::{
    App, AppCredentials, AppIdentity, Enrolment, Http, Identity, Login, Management, NewClient, Provider,
    ProviderError, ProviderTokens, authorization, registration,
};
use crate::oauth::admission::Questions;

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

    fn token_endpoint<'a>(
        &'a self,
        discovery: &'a Discovery,
        acting: &'a AppCredentials,
    ) -> TokenEndpoint<'a> {
        TokenEndpoint::new(&discovery.token_endpoint, acting, &self.http)
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

    /// Whom an ID token for `client_id` is about, where it proves what it must. `nonce` is that of the login that it is
    /// from.
    async fn user(
        &self,
        id_token: &SecretString,
        discovery: &Discovery,
        client_id: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<User, ProviderError> {
        let claims = self.verify(id_token, &discovery.jwks_uri).await?;
        let issuer = self.rules.token_issuer(&discovery.issuer, &claims)?;
        let subject = id_token::check(&claims, &Expected { issuer: &issuer, client_id, nonce }, now)?;
        Ok(User { subject, claims: claims.further })
    }

    fn userinfo_endpoint<'a>(&self, discovery: &'a Discovery) -> Option<&'a Url> {
        discovery.userinfo_endpoint.as_ref().filter(|_| self.rules.has_userinfo())
    }

    async fn userinfo(&self, endpoint: &Url, access_token: &SecretString) -> Result<UserInfo, ProviderError> {
        self.http.get_json("userinfo", endpoint, Some(access_token)).await
    }
}

#[async_trait]
impl Provider for Oidc {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        let discovery = self.discovery().await?;
        let app = &self.settings.app;
        let scopes = authorization::scopes(self.rules.scopes(), app, login.scopes);
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

    fn is_issuer(&self, iss: &str) -> bool {
        self.rules.is_issuer(&self.settings.issuer, iss)
    }

    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError> {
        let discovery = self.discovery().await?;
        let tokens = self.token_endpoint(&discovery, login.acting).exchange(code, login, now).await?;
        let id_token = tokens.id_token.as_ref();
        let id_token = id_token.ok_or_else(|| ProviderError::IdToken("there is none".into()))?;
        let mut user =
            self.user(id_token, &discovery, &login.acting.client_id, Some(login.nonce), now).await?;

        let scopes = authorization::scopes(self.rules.scopes(), &self.settings.app, login.scopes);
        if let Some(endpoint) = self.userinfo_endpoint(&discovery) {
            let ask = self.userinfo(endpoint, &tokens.access_token);
            if user.leaves_open(login.questions) {
                user.add(ask.await?)?;
            } else if user.lacks_email() && scopes.iter().any(|scope| scope == "email") {
                // Display data: without it the login goes on.
                if let Err(error) = ask.await.and_then(|userinfo| user.add(userinfo)) {
                    tracing::warn!(%error, "no e-mail address from userinfo");
                }
            }
        }
        let identity = self.rules.admit(&user.claims, user.identity(login.questions))?;
        Ok((identity, tokens))
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        acting: &AppCredentials,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        let discovery = self.discovery().await?;
        self.token_endpoint(&discovery, acting).refresh(refresh_token, now).await
    }

    async fn register(&self, client: &NewClient<'_>) -> Result<Enrolment, ProviderError> {
        let AppIdentity::Dynamic(settings) = &self.settings.app.identity else {
            return Err(ProviderError::NoRegistration);
        };
        let discovery = self.discovery().await?;
        registration::register(&self.http, settings, &discovery.registration, client).await
    }

    async fn deregister(&self, client: &Management) -> Result<(), ProviderError> {
        registration::deregister(&self.http, client).await
    }

    /// From the refresh's ID token (OpenID Connect Core section 12.2; it need have no nonce), and from userinfo for
    /// what that lacks; without an ID token, from userinfo alone.
    async fn identify(
        &self,
        tokens: &ProviderTokens,
        acting: &AppCredentials,
        questions: &Questions,
        now: Timestamp,
    ) -> Result<Option<Identity>, ProviderError> {
        let discovery = self.discovery().await?;
        let endpoint = self.userinfo_endpoint(&discovery);
        let user = match (&tokens.id_token, endpoint) {
            (Some(id_token), endpoint) => {
                let mut user = self.user(id_token, &discovery, &acting.client_id, None, now).await?;
                if let Some(endpoint) = endpoint.filter(|_| user.leaves_open(questions)) {
                    user.add(self.userinfo(endpoint, &tokens.access_token).await?)?;
                }
                user
            }
            (None, Some(endpoint)) => self.userinfo(endpoint, &tokens.access_token).await?.alone()?,
            (None, None) => return Ok(None),
        };
        self.rules.admit(&user.claims, user.identity(questions)).map(Some)
    }
}

#[cfg(test)]
mod tests;

//! `kind: oauth2`: a provider without OpenID Connect.

use async_trait::async_trait;
use portcullis_proto::ids::Subject;
use portcullis_proto::time::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::registration::{self, Method, Offer};
use super::token_endpoint::TokenEndpoint;
use super::{
    App, AppCredentials, AppIdentity, Enrolment, Http, Identity, Login, Management, NewClient, Provider,
    ProviderError, ProviderTokens, authorization, identity,
};
use crate::oauth::admission::{Facts, Questions};

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
    /// `registration_endpoint`: where clients register (RFC 7591); with `registration: dynamic` only.
    pub registration_endpoint: Option<Box<Url>>,
    /// `issuer`: what `iss` in authorization responses must be, where the provider sends it (RFC 9207).
    pub issuer: Option<String>,
    /// The app.
    pub app: App,
}

/// A provider of this kind.
#[derive(Debug)]
pub(super) struct OAuth2 {
    settings: OAuth2Settings,
    http: Http,
}

// === impl OAuth2 ===

impl OAuth2 {
    pub(super) fn new(settings: OAuth2Settings, http: Http) -> Self {
        Self { settings, http }
    }

    fn token_endpoint<'a>(&'a self, acting: &'a AppCredentials) -> TokenEndpoint<'a> {
        TokenEndpoint::new(&self.settings.token_endpoint, acting, &self.http)
    }

    /// Whom the access token belongs to.
    async fn user(
        &self,
        access_token: &SecretString,
        questions: &Questions,
    ) -> Result<Identity, ProviderError> {
        let endpoint = &self.settings.userinfo_endpoint;
        let user = self.http.get_json("userinfo", endpoint, Some(access_token)).await?;
        self.settings.identity(&user, questions)
    }
}

#[async_trait]
impl Provider for OAuth2 {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        let OAuth2Settings { authorization_endpoint, app, .. } = &self.settings;
        let scopes = authorization::scopes(&[], app, login.scopes);
        Ok(authorization::url(authorization_endpoint, app, login, &scopes, None))
    }

    async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        match (iss, &self.settings.issuer) {
            (Some(iss), Some(issuer)) if iss != issuer => Err(ProviderError::Issuer),
            _ => Ok(()),
        }
    }

    fn is_issuer(&self, iss: &str) -> bool {
        self.settings.issuer.as_deref() == Some(iss)
    }

    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError> {
        let tokens = self.token_endpoint(login.acting).exchange(code, login, now).await?;
        Ok((self.user(&tokens.access_token, login.questions).await?, tokens))
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        acting: &AppCredentials,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        self.token_endpoint(acting).refresh(refresh_token, now).await
    }

    async fn register(&self, client: &NewClient<'_>) -> Result<Enrolment, ProviderError> {
        let OAuth2Settings { registration_endpoint, app, .. } = &self.settings;
        let (AppIdentity::Dynamic(settings), Some(url)) = (&app.identity, registration_endpoint) else {
            return Err(ProviderError::NoRegistration);
        };
        let offer = Offer::Endpoint { url: Url::clone(url), method: Some(Method::SecretBasic) };
        registration::register(&self.http, settings, &offer, client).await
    }

    async fn deregister(&self, client: &Management) -> Result<(), ProviderError> {
        registration::deregister(&self.http, client).await
    }

    async fn identify(
        &self,
        tokens: &ProviderTokens,
        _: &AppCredentials,
        questions: &Questions,
        _: Timestamp,
    ) -> Result<Option<Identity>, ProviderError> {
        self.user(&tokens.access_token, questions).await.map(Some)
    }
}

// === impl OAuth2Settings ===

impl OAuth2Settings {
    /// Who userinfo says the user is. Whether the e-mail address is verified, it says in `email_verified`, as that of
    /// OpenID Connect does (Core section 5.1): of the one in `email`, and of no other.
    fn identity(&self, user: &Map<String, Value>, questions: &Questions) -> Result<Identity, ProviderError> {
        let subject = user.get(&self.subject_member).and_then(subject).ok_or_else(|| {
            ProviderError::Malformed(format!("userinfo has no identifier in `{}`", self.subject_member))
        })?;
        let facts = Facts {
            email_verified: identity::is_true(user.get("email_verified"))
                && user.get(&self.email_member) == user.get("email"),
            claims: identity::claims(user, questions),
            ..Facts::default()
        };
        Ok(Identity { subject, email: identity::email(user.get(&self.email_member)), facts })
    }
}

/// A string, or a whole number in decimal. A fraction is no identifier, and has more than one spelling.
fn subject(value: &Value) -> Option<Subject> {
    match value {
        Value::String(text) => identity::subject(text),
        Value::Number(number) if !number.is_f64() => identity::subject(&number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

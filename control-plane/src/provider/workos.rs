//! `kind: workos`: the User Management API of WorkOS. It looks like OAuth, but its answers are its own.

use async_trait::async_trait;
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    App, AppCredentials, ClientAuth, Http, Identity, Login, Provider, ProviderError, ProviderTokens,
    authorization, identity, token_endpoint,
};
use crate::oauth::admission::{Facts, Questions};
use crate::oauth::scope::Scopes;

/// `kind: workos`.
#[derive(Clone, Debug)]
pub struct WorkOsSettings {
    /// `api_url`: `https://api.workos.com` by default. Ends in a slash.
    pub api_url: Url,
    /// How users are led to their login.
    pub selector: Selector,
    /// The app. Its `client_secret` is the environment's API key.
    pub app: App,
}

/// WorkOS takes exactly one of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `provider`: `authkit`, or one of WorkOS's names such as `GoogleOAuth`.
    Provider(String),
    /// `connection_id`.
    Connection(String),
    /// `organization_id`: only its users may log in.
    Organization(String),
}

/// A provider of this kind.
#[derive(Debug)]
pub(super) struct WorkOs {
    authorize: Url,
    authenticate: Url,
    /// What is said of a user is below it.
    users: Url,
    /// The organization that the session must be in.
    organization: Option<String>,
    app: App,
    http: Http,
}

/// The answer to a code or a refresh token.
#[derive(Deserialize)]
struct Authenticated {
    user: User,
    organization_id: Option<String>,
    access_token: String,
    refresh_token: Option<String>,
}

/// `GET /user_management/users/{id}` answers the same.
#[derive(Deserialize)]
struct User {
    id: String,
    email: Option<Value>,
    #[serde(default)]
    email_verified: bool,
}

/// The access token's claims.
#[derive(Deserialize)]
struct Session {
    /// Seconds since 1970.
    exp: u64,
    /// The user.
    sub: Option<String>,
    /// The organization that the session is in.
    org_id: Option<String>,
    /// `role`, `permissions` and what else the environment puts there.
    #[serde(flatten)]
    further: Map<String, Value>,
}

// === impl WorkOsSettings ===

impl WorkOsSettings {
    /// Parameters of the authorization request that are not for `authorize_parameters`.
    pub const OWN_PARAMETERS: [&str; 3] = ["connection_id", "organization_id", "provider"];
}

// === impl WorkOs ===

impl WorkOs {
    pub(super) fn new(settings: WorkOsSettings, http: Http) -> Self {
        let WorkOsSettings { api_url, selector, mut app } = settings;
        let below = |path: &str| {
            let mut url = api_url.clone();
            url.set_path(&format!("{}{path}", api_url.path()));
            url
        };
        let (name, value) = match &selector {
            Selector::Provider(provider) => ("provider", provider),
            Selector::Connection(id) => ("connection_id", id),
            Selector::Organization(id) => ("organization_id", id),
        };
        app.authorize_parameters.push((name.into(), value.clone()));
        let (authorize, authenticate) =
            (below("user_management/authorize"), below("user_management/authenticate"));
        let users = below("user_management/users/");
        let organization = match selector {
            Selector::Organization(id) => Some(id),
            Selector::Provider(_) | Selector::Connection(_) => None,
        };
        Self { authorize, authenticate, users, organization, app, http }
    }

    /// `grant` is what the request has beside the app's credentials.
    async fn authenticate(
        &self,
        acting: &AppCredentials,
        mut grant: Value,
    ) -> Result<Authenticated, ProviderError> {
        grant["client_id"] = acting.client_id.as_str().into();
        if let ClientAuth::Basic(secret) | ClientAuth::Post(secret) = &acting.auth {
            grant["client_secret"] = secret.expose_secret().into();
        }
        let answer = token_endpoint::screen(self.http.post_json(&self.authenticate, None, &grant).await?)?;
        // What serde says would quote the body.
        serde_json::from_slice(answer.body()).map_err(|_| {
            ProviderError::Malformed(
                "the answer of user_management/authenticate is not what it must be".into(),
            )
        })
    }

    async fn user(&self, acting: &AppCredentials, id: &str) -> Result<User, ProviderError> {
        let mut url = self.users.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(id);
        }
        let (ClientAuth::Basic(key) | ClientAuth::Post(key)) = &acting.auth else {
            return Err(ProviderError::Malformed("there is no API key".into()));
        };
        let user: User = self.http.get_json("the user", &url, Some(key)).await?;
        if user.id == id {
            Ok(user)
        } else {
            Err(ProviderError::Malformed("the user is another than was asked for".into()))
        }
    }

    /// Who the user is, where they may log in.
    fn identity(
        &self,
        user: &User,
        organization: Option<&str>,
        claims: &Map<String, Value>,
        questions: &Questions,
    ) -> Result<Identity, ProviderError> {
        // The parameter alone binds nobody: the browser can change it.
        if self.organization.is_some() && organization != self.organization.as_deref() {
            return Err(ProviderError::NotAllowed("the session is not in the organization".into()));
        }
        let subject = identity::subject(&user.id)
            .ok_or_else(|| ProviderError::Malformed("the user has no identifier in `id`".into()))?;
        let facts = Facts {
            email_verified: user.email_verified,
            claims: identity::claims(claims, questions),
            organizations: organization.map(ToOwned::to_owned).into_iter().collect(),
        };
        Ok(Identity { subject, email: identity::email(user.email.as_ref()), facts })
    }
}

#[async_trait]
impl Provider for WorkOs {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        // It knows no scopes: what a token is good for, WorkOS's roles say.
        Ok(authorization::url(&self.authorize, &self.app, login, &Scopes::default(), None))
    }

    async fn check_issuer(&self, _: Option<&str>) -> Result<(), ProviderError> {
        // WorkOS documents none for this API.
        Ok(())
    }

    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        _: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError> {
        let grant = json!({
            "grant_type": "authorization_code",
            "code": code.expose_secret(),
            "code_verifier": login.verifier,
        });
        let answer = self.authenticate(login.acting, grant).await?;
        let tokens = answer.tokens()?;
        let claims = session(&tokens.access_token)?.further;
        let identity =
            self.identity(&answer.user, answer.organization_id.as_deref(), &claims, login.questions)?;
        Ok((identity, tokens))
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        acting: &AppCredentials,
        _: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        let grant = json!({ "grant_type": "refresh_token", "refresh_token": refresh_token.expose_secret() });
        self.authenticate(acting, grant).await?.tokens()
    }

    /// From the new access token, and for the e-mail address from the user's own entry, which the API key opens.
    async fn identify(
        &self,
        tokens: &ProviderTokens,
        acting: &AppCredentials,
        questions: &Questions,
        _: Timestamp,
    ) -> Result<Option<Identity>, ProviderError> {
        let Session { sub, org_id, further, .. } = session(&tokens.access_token)?;
        let id = sub.ok_or_else(|| ProviderError::Malformed("access_token has no `sub`".into()))?;
        let user = if questions.email {
            self.user(acting, &id).await?
        } else {
            User { id, email: None, email_verified: false }
        };
        self.identity(&user, org_id.as_deref(), &further, questions).map(Some)
    }
}

// === impl Authenticated ===

impl Authenticated {
    fn tokens(&self) -> Result<ProviderTokens, ProviderError> {
        let session = session(&SecretString::from(self.access_token.as_str()))?;
        let expires_at = Timestamp::from_millis(session.exp.saturating_mul(1000));
        token_endpoint::usable(&self.access_token, Some(expires_at), self.refresh_token.as_deref())
    }
}

/// Only the access token itself says how long it lives, and what its session is. It comes from WorkOS's own
/// endpoint over TLS: whether its signature is right is for whom it is shown to.
fn session(access_token: &SecretString) -> Result<Session, ProviderError> {
    jsonwebtoken::dangerous::insecure_decode_claims(access_token.expose_secret())
        .map_err(|_| ProviderError::Malformed("access_token is no JWT with `exp`".into()))
}

#[cfg(test)]
mod tests;

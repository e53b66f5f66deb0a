//! `kind: github`: GitHub's OAuth apps and GitHub apps, on github.com, GHE.com and Enterprise Server.

use async_trait::async_trait;
use http::StatusCode;
use portcullis_proto::time::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::oauth2::OAuth2;
use super::{
    App, AppCredentials, Http, Identity, Login, OAuth2Settings, Provider, ProviderError, ProviderTokens,
    identity,
};
use crate::oauth::admission::Questions;

/// So that an OAuth app sees a membership that the user keeps private, and an address that is.
const READ_ORGANIZATIONS: &str = "read:org";
const READ_EMAILS: &str = "user:email";

/// `kind: github`.
#[derive(Clone, Debug)]
pub struct GitHubSettings {
    /// `base_url`: where people use GitHub; `https://github.com` by default. Ends in a slash.
    pub base_url: Url,
    /// `api_url`: where programs do; follows from `base_url` by default. Ends in a slash.
    pub api_url: Url,
    /// `organization`: the one organization whose members may log in; absent: whoever has an account.
    pub organization: Option<String>,
    /// The app.
    pub app: App,
}

/// A provider of this kind.
#[derive(Debug)]
pub(super) struct GitHub {
    oauth2: OAuth2,
    http: Http,
    emails: Url,
    /// Where the user's own memberships in organizations are.
    memberships: Url,
    organization: Option<String>,
}

/// An element of `GET /user/emails`.
#[derive(Deserialize)]
struct Email {
    #[serde(rename = "email")]
    address: Value,
    primary: bool,
    verified: bool,
}

/// `GET /user/memberships/orgs/{org}`.
#[derive(Deserialize)]
struct Answer {
    state: String,
}

/// What is known of a user and an organization.
enum Membership {
    /// A member who has accepted the invitation.
    Active,
    /// Not so.
    Inactive,
    /// No member as far as the app can see. 404: no member; 403: the organization does not let the app see.
    Unseen(StatusCode),
}

// === impl GitHubSettings ===

impl GitHubSettings {
    /// Where the API is, of a GitHub at `base_url` (GitHub's REST API documentation, "Using the REST API").
    pub fn default_api_url(base_url: &Url) -> Url {
        let mut api_url = base_url.clone();
        let of_a_host =
            base_url.host_str().filter(|&host| host == "github.com" || host.ends_with(".ghe.com"));
        // A name that is good stays so with another label before it.
        match of_a_host.map(|host| api_url.set_host(Some(&format!("api.{host}")))) {
            Some(Ok(())) => api_url.set_path("/"),
            _ => api_url.set_path(&format!("{}api/v3/", base_url.path())),
        }
        api_url
    }
}

// === impl GitHub ===

impl GitHub {
    pub(super) fn new(settings: GitHubSettings, http: Http) -> Self {
        let GitHubSettings { base_url, api_url, organization, mut app } = settings;
        if organization.is_some() && !app.scopes.iter().any(|scope| scope == READ_ORGANIZATIONS) {
            app.scopes.push(READ_ORGANIZATIONS.into());
        }
        let settings = OAuth2Settings {
            authorization_endpoint: below(&base_url, &["login", "oauth", "authorize"]),
            token_endpoint: below(&base_url, &["login", "oauth", "access_token"]),
            userinfo_endpoint: below(&api_url, &["user"]),
            // The number stays with the account. A login can be changed, and then taken by somebody else.
            subject_member: "id".into(),
            email_member: "email".into(),
            registration_endpoint: None,
            issuer: Some(below(&base_url, &["login", "oauth"]).into()),
            app,
        };
        let emails = below(&api_url, &["user", "emails"]);
        let memberships = below(&api_url, &["user", "memberships", "orgs"]);
        Self { oauth2: OAuth2::new(settings, http.clone()), http, emails, memberships, organization }
    }

    /// Adds what GitHub's API says to what the profile does, where the user may log in.
    async fn complete(
        &self,
        mut identity: Identity,
        access_token: &SecretString,
        questions: &Questions,
    ) -> Result<Identity, ProviderError> {
        self.check_membership(access_token).await?;
        for name in &questions.organizations {
            if let Membership::Active = self.membership(name, access_token).await? {
                identity.facts.organizations.insert(name.clone());
            }
        }
        // The profile says nothing of that.
        identity.facts.email_verified = false;
        if questions.email {
            if let Some(email) = self.known_email(access_token).await? {
                identity.email = Some(email);
                identity.facts.email_verified = true;
            }
        } else if identity.email.is_none() {
            identity.email = self.email(access_token).await;
        }
        Ok(identity)
    }

    /// The verified primary address, where the app may see it: that is the app's configuration.
    async fn known_email(&self, access_token: &SecretString) -> Result<Option<String>, ProviderError> {
        match self.http.find_json::<Vec<Email>>("user/emails", &self.emails, Some(access_token)).await? {
            Ok(emails) => {
                let primary = emails.iter().find(|email| email.primary && email.verified);
                Ok(primary.and_then(|email| identity::email(Some(&email.address))))
            }
            Err(status) => {
                tracing::debug!(%status, "the app may not see e-mail addresses at GitHub");
                Ok(None)
            }
        }
    }

    /// The same as display data, for whom the profile shows none: without it the login goes on.
    async fn email(&self, access_token: &SecretString) -> Option<String> {
        self.known_email(access_token).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "no e-mail address from GitHub");
            None
        })
    }

    /// Whether the user is of the one organization whose members may log in.
    async fn check_membership(&self, access_token: &SecretString) -> Result<(), ProviderError> {
        let Some(name) = &self.organization else { return Ok(()) };
        let why = match self.membership(name, access_token).await? {
            Membership::Active => return Ok(()),
            Membership::Inactive => format!("the membership in {name} is not active"),
            Membership::Unseen(status) => {
                format!("no member of {name} as far as the app can see: HTTP {}", status.as_u16())
            }
        };
        Err(ProviderError::NotAllowed(why))
    }

    async fn membership(&self, name: &str, token: &SecretString) -> Result<Membership, ProviderError> {
        let url = below(&self.memberships, &[name]);
        let found = self.http.find_json::<Answer>("the membership", &url, Some(token)).await?;
        Ok(match found {
            Ok(Answer { state }) if state == "active" => Membership::Active,
            Ok(_) => Membership::Inactive,
            Err(status) => Membership::Unseen(status),
        })
    }
}

#[async_trait]
impl Provider for GitHub {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        let Questions { email, organizations, .. } = login.questions;
        let mut scopes = login.scopes.to_vec();
        scopes.extend(email.then(|| READ_EMAILS.to_owned()));
        scopes.extend((!organizations.is_empty()).then(|| READ_ORGANIZATIONS.to_owned()));
        self.oauth2.authorization_url(&Login { scopes: &scopes, ..*login }).await
    }

    async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        self.oauth2.check_issuer(iss).await
    }

    fn is_issuer(&self, iss: &str) -> bool {
        self.oauth2.is_issuer(iss)
    }

    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError> {
        let (identity, tokens) = self.oauth2.exchange(code, login, now).await.map_err(as_standard)?;
        let identity = self.complete(identity, &tokens.access_token, login.questions).await?;
        Ok((identity, tokens))
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        acting: &AppCredentials,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        self.oauth2.refresh(refresh_token, acting, now).await.map_err(as_standard)
    }

    async fn identify(
        &self,
        tokens: &ProviderTokens,
        acting: &AppCredentials,
        questions: &Questions,
        now: Timestamp,
    ) -> Result<Option<Identity>, ProviderError> {
        match self.oauth2.identify(tokens, acting, questions, now).await? {
            Some(identity) => self.complete(identity, &tokens.access_token, questions).await.map(Some),
            None => Ok(None),
        }
    }
}

/// GitHub has words of its own for `invalid_grant`.
fn as_standard(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Refused(code) if code == "bad_verification_code" || code == "bad_refresh_token" => {
            ProviderError::InvalidGrant
        }
        other => other,
    }
}

/// The URL with these segments after its path.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests;

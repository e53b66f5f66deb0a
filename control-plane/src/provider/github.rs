//! `kind: github`: GitHub's OAuth apps and GitHub apps, on github.com, GHE.com and Enterprise Server.

use async_trait::async_trait;
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
    organization: Option<Organization>,
}

#[derive(Debug)]
struct Organization {
    name: String,
    /// The user's own membership in it.
    membership: Url,
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
struct Membership {
    state: String,
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
        let organization = organization.map(|name| {
            // Without it, an OAuth app does not see a membership that the user keeps private.
            if !app.scopes.iter().any(|scope| scope == "read:org") {
                app.scopes.push("read:org".into());
            }
            Organization { membership: below(&api_url, &["user", "memberships", "orgs", &name]), name }
        });
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
        Self { oauth2: OAuth2::new(settings, http.clone()), http, emails, organization }
    }

    /// The verified primary address. A profile shows none where the user keeps it private, and whether we may ask
    /// for it is the app's configuration. It is display data: without it the login goes on.
    async fn email(&self, access_token: &SecretString) -> Option<String> {
        match self.http.get_json::<Vec<Email>>("user/emails", &self.emails, Some(access_token)).await {
            Ok(emails) => {
                let primary = emails.iter().find(|email| email.primary && email.verified)?;
                identity::email(Some(&primary.address))
            }
            Err(error) => {
                tracing::debug!(%error, "no e-mail address from GitHub");
                None
            }
        }
    }

    /// Whether the user is a member who has accepted the invitation.
    async fn check_membership(&self, access_token: &SecretString) -> Result<(), ProviderError> {
        let Some(Organization { name, membership }) = &self.organization else { return Ok(()) };
        let answer = self.http.get_json::<Membership>("the membership", membership, Some(access_token)).await;
        match answer {
            Ok(Membership { state }) if state == "active" => Ok(()),
            Ok(_) => Err(ProviderError::NotAllowed(format!("the membership in {name} is not active"))),
            // 404: no member; 403: the organization does not let the app see.
            Err(ProviderError::Refused(why)) => Err(ProviderError::NotAllowed(format!(
                "no member of {name} as far as the app can see: {why}"
            ))),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Provider for GitHub {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        self.oauth2.authorization_url(login).await
    }

    async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        self.oauth2.check_issuer(iss).await
    }

    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError> {
        let (mut identity, tokens) = self.oauth2.exchange(code, login, now).await.map_err(as_standard)?;
        self.check_membership(&tokens.access_token).await?;
        if identity.email.is_none() {
            identity.email = self.email(&tokens.access_token).await;
        }
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

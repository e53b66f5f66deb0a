//! What a client does where it may fail.

use http::StatusCode;
use serde_json::json;
use thiserror::Error;
use url::Url;

use super::{Answer, Authorization, Browser, Caller, Client, Metadata, Tokens, Visit, post, tool_call};

/// Why an attempt has not come to what it was for.
#[derive(Debug, Error)]
pub enum Failure {
    /// There was no answer, or not all of it: what has been asked for may have been done.
    #[error("no answer: {0:?}")]
    NoAnswer(#[from] reqwest::Error),
    /// Another answer than the one that was hoped for.
    #[error("{} from {url}: {}", .answer.status, .answer.body)]
    Answered {
        /// Where it came from, without the query.
        url: String,
        /// The answer.
        answer: Box<Answer>,
    },
    /// The browser came back with an error in the code's place (RFC 6749 section 4.1.2.1).
    #[error("sent back with {0}")]
    SentBack(String),
}

// === impl Failure ===

impl Failure {
    pub(super) fn at(url: &Url, answer: Answer) -> Self {
        let url = format!("{}{}", url.origin().ascii_serialization(), url.path());
        Self::Answered { url, answer: Box::new(answer) }
    }

    fn from(url: &str, answer: Answer) -> Self {
        Self::Answered { url: url.to_owned(), answer: Box::new(answer) }
    }

    /// Whether this is no statement about what was asked, only that it cannot be answered now.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Answered { answer, .. } => {
                answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS
            }
            // What would be 500 and 503, were it not a redirect. By a clock that is a minute behind, for one, every ID
            // token is from the future.
            Self::SentBack(error) => matches!(error.as_str(), "server_error" | "temporarily_unavailable"),
        }
    }
}

// === impl Client ===

impl Client {
    /// One that nobody has registered, for those who only remember clients.
    #[cfg(test)]
    pub(crate) fn of_id(client_id: &str) -> Self {
        let nowhere = String::new;
        let metadata = Metadata {
            issuer: nowhere(),
            authorization_endpoint: nowhere(),
            token_endpoint: nowhere(),
            registration_endpoint: nowhere(),
            revocation_endpoint: nowhere(),
        };
        let (caller, http) = (Caller::default(), reqwest::Client::new());
        let client_id = client_id.to_owned();
        Self { caller, http, resource: nowhere(), metadata, client_id, redirect_uri: nowhere() }
    }

    /// Registers with an authorization server that is known already.
    pub async fn attempt_register(
        caller: Caller,
        resource: &str,
        metadata: &Metadata,
        name: &str,
    ) -> Result<Self, Failure> {
        let redirect_uri = "http://127.0.0.1:33418/callback".to_owned();
        let registration = json!({
            "client_name": name,
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let http = caller.http().build().expect("an HTTP client");
        let endpoint = &metadata.registration_endpoint;
        let registered = Answer::attempt(http.post(endpoint).json(&registration)).await?;
        if registered.status != StatusCode::CREATED {
            return Err(Failure::from(endpoint, registered));
        }
        let client_id = registered.json()["client_id"].as_str().expect("a client_id").to_owned();
        let (resource, metadata) = (resource.to_owned(), metadata.clone());
        Ok(Self { caller, http, resource, metadata, client_id, redirect_uri })
    }

    /// The login of a user who approves, up to the code.
    pub async fn attempt_authorize(&self, user: &str) -> Result<(Authorization, String), Failure> {
        let authorization = self.authorization();
        let (browser, visit) = (Browser::of(self.caller), Visit::approve(user));
        let callback = browser.attempt(&authorization.url, &self.redirect_uri, visit).await?;
        assert_eq!(callback.get("state"), Some(&authorization.state), "{callback:?}");
        match (callback.get("code"), callback.get("error")) {
            (Some(code), None) => Ok((authorization, code.clone())),
            (None, Some(error)) => Err(Failure::SentBack(error.clone())),
            _ => panic!("an approved login came back with {callback:?}"),
        }
    }

    /// As [`Self::redeem`].
    pub async fn attempt_redeem(&self, authorization: &Authorization, code: &str) -> Result<Tokens, Failure> {
        self.attempt_token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &authorization.verifier),
            ("resource", &self.resource),
        ])
        .await
    }

    /// As [`Self::refresh`].
    pub async fn attempt_refresh(&self, refresh_token: &str) -> Result<Tokens, Failure> {
        self.attempt_token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("resource", &self.resource),
        ])
        .await
    }

    /// As [`Self::revoke`].
    pub async fn attempt_revoke(&self, token: &str) -> Result<(), Failure> {
        let endpoint = &self.metadata.revocation_endpoint;
        match self.form(endpoint, &[("token", token)]).await? {
            Answer { status: StatusCode::OK, .. } => Ok(()),
            answer => Err(Failure::from(endpoint, answer)),
        }
    }

    /// As [`Self::status`].
    pub async fn attempt_status(&self, access_token: &str) -> reqwest::Result<StatusCode> {
        let message = tool_call("whoami", &json!({}));
        Ok(post(&self.http, &self.resource, &message, Some(access_token)).await?.status)
    }

    async fn attempt_token(&self, parameters: &[(&str, &str)]) -> Result<Tokens, Failure> {
        let endpoint = &self.metadata.token_endpoint;
        match self.form(endpoint, parameters).await? {
            answer if answer.status == StatusCode::OK => Ok(answer.tokens()),
            answer => Err(Failure::from(endpoint, answer)),
        }
    }
}

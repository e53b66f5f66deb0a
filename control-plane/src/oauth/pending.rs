//! A login under way: what it is for, until the provider answers.

use std::fmt;

use portcullis_proto::ids::{ClientId, ProviderName, Sequence, ServerName};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::hash::sha256;
use super::pkce::CodeChallenge;
use super::provider_client::ActingClient;
use super::redirect_uri::RedirectTarget;
use super::scope::Scopes;

/// Most logins that one browser may have under way: more than anybody has windows for.
pub const MOST_IN_A_BROWSER: usize = 20;

/// SHA-256 of the `state` that we sent to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateId(pub [u8; 32]);

/// SHA-256 of the approving browser's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserId(pub [u8; 32]);

/// An authorization request that has passed every check (RFC 6749 section 4.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: ClientId,
    /// Where the answer goes: one of the client's.
    pub redirect: RedirectTarget,
    /// The client's `state`, which goes back with the answer.
    pub state: Option<String>,
    /// Which MCP server is meant.
    pub server: ServerName,
    /// What is asked for; never empty where the server has scopes.
    pub scopes: Scopes,
    /// What the code will be bound to (RFC 7636).
    pub challenge: CodeChallenge,
}

/// What a login is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)] // so that rows from before there was a second purpose can be read
pub enum Purpose {
    /// A client's authorization, which the user approved.
    Authorization(AuthorizationRequest),
    /// The account page.
    Account {
        /// On which issuer's origin.
        issuer: String,
    },
}

/// Stored under its [`StateId`] from approval until the provider's answer; used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What the login is for.
    #[serde(rename = "request")]
    pub purpose: Purpose,
    /// Where the user was sent.
    pub provider: ProviderName,
    /// As which client of the provider: the code will be that client's.
    #[serde(default)]
    pub acting: ActingClient,
    /// The browser in which the login began: the only one whose callback counts.
    pub browser: BrowserId,
    /// Our own PKCE verifier towards the provider. Worthless without the provider's code and our secret.
    pub verifier: String,
    /// Our nonce, which the ID token must carry (OpenID Connect Core section 3.1.2.1).
    pub nonce: String,
    /// The revocation log's head when the login began; set by the store. Rows from before this was noted have none.
    #[serde(default)]
    pub born: Option<Sequence>,
    /// From when on the answer comes too late.
    pub expires_at: Timestamp,
}

// === impl Pending ===

impl Pending {
    /// The scopes that a revocation must have to end this login. Whose it is, nobody knows yet.
    pub fn revoked_by(&self) -> Vec<Scope> {
        match &self.purpose {
            Purpose::Authorization(request) => vec![
                Scope::Client(request.client.clone()),
                Scope::Server(request.server.clone()),
                Scope::Everything,
            ],
            Purpose::Account { .. } => vec![Scope::Everything],
        }
    }
}

// === impl Purpose ===

impl Purpose {
    /// What is asked for at the provider, beside what the app always asks for there.
    pub fn scopes(&self) -> &[String] {
        match self {
            Self::Authorization(request) => request.scopes.as_slice(),
            Self::Account { .. } => &[],
        }
    }

    /// The MCP client that it is for, where it is for one.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Authorization(request) => Some(&request.client),
            Self::Account { .. } => None,
        }
    }
}

/// For the log.
impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorization(request) => write!(f, "client {} at {}", request.client, request.server),
            Self::Account { .. } => f.write_str("account"),
        }
    }
}

// === impl StateId ===

impl StateId {
    /// Of the `state` parameter.
    pub fn of(state: &str) -> Self {
        Self(sha256(state))
    }
}

// === impl BrowserId ===

impl BrowserId {
    /// Of the cookie's value.
    pub fn of(cookie: &str) -> Self {
        Self(sha256(cookie))
    }
}

#[cfg(test)]
mod tests {
    use super::super::redirect_uri::RedirectUri;
    use super::*;

    fn request() -> AuthorizationRequest {
        let registered = RedirectUri::parse("https://app.example/cb", &[]).unwrap();
        AuthorizationRequest {
            client: ClientId::new("c"),
            redirect: RedirectTarget::only(&[registered], &[]).unwrap(),
            state: None,
            server: ServerName::new("demo"),
            scopes: Scopes::parse("read").unwrap(),
            challenge: CodeChallenge::of("verifier"),
        }
    }

    #[test]
    fn a_stored_purpose_is_read_as_what_it_was() {
        for purpose in
            [Purpose::Authorization(request()), Purpose::Account { issuer: "https://a.example".into() }]
        {
            let text = serde_json::to_string(&purpose).unwrap();
            assert_eq!(serde_json::from_str::<Purpose>(&text).unwrap(), purpose);
        }
    }

    #[test]
    fn a_row_from_before_there_was_an_account_page_is_an_authorization() {
        let row = serde_json::json!({
            "request": request(), "provider": "corp", "browser": vec![1; 32], "verifier": "v", "nonce": "n",
            "expires_at": 1,
        });
        let pending: Pending = serde_json::from_value(row).unwrap();
        assert_eq!(pending.purpose, Purpose::Authorization(request()));
    }
}

//! A login under way: what the user approved, until the provider answers.

use aws_lc_rs::digest;
use portcullis_proto::ids::{ClientId, ProviderName, ServerName};
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::pkce::CodeChallenge;
use super::provider_client::ActingClient;
use super::redirect_uri::RedirectTarget;
use super::scope::Scopes;

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

/// Stored under its [`StateId`] from approval until the provider's answer; used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What the user approved.
    pub request: AuthorizationRequest,
    /// Where the user was sent.
    pub provider: ProviderName,
    /// As which client of the provider: the code will be that client's.
    #[serde(default)]
    pub acting: ActingClient,
    /// The browser in which the user approved: the only one whose callback counts.
    pub browser: BrowserId,
    /// Our own PKCE verifier towards the provider. Worthless without the provider's code and our secret.
    pub verifier: String,
    /// Our nonce, which the ID token must carry (OpenID Connect Core section 3.1.2.1).
    pub nonce: String,
    /// From when on the answer comes too late.
    pub expires_at: Timestamp,
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

fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

//! Authorization codes (RFC 6749 section 4.1.2): 60 seconds, one use.

use portcullis_proto::ids::{ClientId, GrantId, ServerName};
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::pkce::{CodeChallenge, CodeVerifier};
use super::redirect_uri::RedirectTarget;

/// Stored under the SHA-256 of the code's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// What it stands for.
    pub grant: GrantId,
    /// Who may redeem it.
    pub client: ClientId,
    /// Where it was sent, and so what `redirect_uri` must be.
    pub redirect: RedirectTarget,
    /// The MCP server that the tokens will be for.
    pub server: ServerName,
    /// What the verifier must hash to.
    pub challenge: CodeChallenge,
    /// From when on it is worthless.
    pub expires_at: Timestamp,
    /// Whether it has been redeemed. A used code is kept as long as its grant, however often that is prolonged
    /// by refreshes: so a replay is recognised, and revokes the grant, while anything that the code has brought
    /// can be alive. Where the grant has been revoked there is nothing left to revoke: the code is forgotten
    /// once the first access token would have expired.
    pub used: bool,
}

/// What a redemption says (RFC 6749 section 4.1.3).
#[derive(Debug)]
pub struct Redemption<'a> {
    /// The client that has authenticated.
    pub client: &'a ClientId,
    /// `redirect_uri`, where it was sent. OAuth 2.1 has dropped it; where it comes, it must be right.
    pub redirect_uri: Option<&'a str>,
    /// `code_verifier`.
    pub verifier: &'a CodeVerifier,
    /// The server that `resource` names, where it was sent (RFC 8707 section 2.2).
    pub server: Option<&'a ServerName>,
}

/// Why a redemption is refused. Nothing is consumed by it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// Too late.
    #[error("the code has expired")]
    Expired,
    /// Issued to another.
    #[error("the code was issued to another client")]
    Client,
    /// Sent elsewhere.
    #[error("redirect_uri is not the one that the code was sent to")]
    RedirectUri,
    /// Not the one who asked.
    #[error("code_verifier does not match the code_challenge")]
    Verifier,
    /// For another server.
    #[error("the code was issued for another resource")]
    Resource,
}

// === impl Code ===

impl Code {
    /// Whether this request may redeem the code. Whether it is the first to do so, the store decides.
    pub fn check(&self, redemption: &Redemption<'_>, now: Timestamp) -> Result<(), Refused> {
        if &self.client != redemption.client {
            return Err(Refused::Client);
        }
        if redemption.redirect_uri.is_some_and(|uri| uri != self.redirect.as_str()) {
            return Err(Refused::RedirectUri);
        }
        if !self.challenge.is_met_by(redemption.verifier) {
            return Err(Refused::Verifier);
        }
        if redemption.server.is_some_and(|server| server != &self.server) {
            return Err(Refused::Resource);
        }
        // A used code is checked no further: that it comes again matters more than that it comes late.
        if self.expires_at <= now && !self.used {
            return Err(Refused::Expired);
        }
        Ok(())
    }
}

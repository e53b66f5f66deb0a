//! What is known of an access token, apart from the token itself.

use bytestring::ByteString;

use crate::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use crate::seal::Sealed;
use crate::time::Timestamp;

/// All that an authz instance keeps of an access token. It opens nothing without the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// SHA-256 of the token's text.
    pub token: TokenId,
    /// The authorization that the token was issued under.
    pub grant: GrantId,
    /// The client that it was issued to.
    pub client: ClientId,
    /// Where the user logged in.
    pub provider: ProviderName,
    /// Who the user is there.
    pub subject: Subject,
    /// The user's e-mail address, where the provider names one.
    pub email: Option<ByteString>,
    /// The one MCP server that the token is for.
    pub server: ServerName,
    /// What was granted (RFC 6749 section 3.3).
    pub scopes: Vec<ByteString>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// The revocation log's head at that moment: entries up to here do not concern the token.
    pub born: Sequence,
    /// The grant's data key, sealed under the token's key.
    pub wrapped_key: Sealed,
    /// The encoded `Credential`, sealed under the data key.
    pub credential: Sealed,
    /// From when on the provider refuses the credential; `None` where it does not expire.
    pub credential_expires_at: Option<Timestamp>,
    /// Stands for the settings by which the credential was made: where the server has others now, it is outdated.
    pub credential_revision: u64,
}

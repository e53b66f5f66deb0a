//! Grants and the access tokens under them.

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Scope;
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::provider_client::ActingClient;
use super::renewal::Renewal;
use super::scope::Scopes;

/// One authorization by one user of one client at one server. Logging in again makes another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its identifier.
    pub id: GrantId,
    /// Who may act.
    pub client: ClientId,
    /// Where.
    pub server: ServerName,
    /// Where the user logged in.
    pub provider: ProviderName,
    /// As which client of the provider: its refresh tokens are good for that client only.
    #[serde(default)]
    pub acting: ActingClient,
    /// On whose behalf.
    pub subject: Subject,
    /// The user's e-mail address, where the provider named one. Whether it is theirs, the next field says.
    pub email: Option<String>,
    /// Whether the provider vouched for the address at the login. Where nobody asked it, it did not.
    #[serde(default)]
    pub email_verified: bool,
    /// What was approved.
    pub scopes: Scopes,
    /// When.
    pub created_at: Timestamp,
    /// When its last refresh token expires; before its code is redeemed, when that does.
    pub expires_at: Timestamp,
    /// The revocation log's head when it was stored; set by the store.
    pub born: Sequence,
    /// Which master key the data key is sealed under.
    pub master_key: String,
    /// The data key, sealed under that master key.
    pub data_key: Sealed,
    /// What the provider gave.
    pub upstream: Upstream,
}

/// The provider's tokens, sealed under the grant's data key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// The provider's access token: an encoded `Credential` with it in `Authorization: Bearer`.
    pub credential: Sealed,
    /// From when on the provider refuses it; `None` where it does not expire.
    pub credential_expires_at: Option<Timestamp>,
    /// The provider's refresh token, where it gave one.
    pub refresh_token: Option<Sealed>,
    /// Counts the refreshes: an update names the version that it replaces.
    pub version: u64,
    /// What has been tried to replace it. Rows from before there was a lease have none: nothing was tried.
    #[serde(default)]
    pub renewal: Renewal,
}

/// What the MCP server is to get in one access token's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// An encoded `Credential`, sealed under the grant's data key.
    pub sealed: Sealed,
    /// From when on it is of no use; `None` where it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Stands for the settings by which it was made.
    pub revision: u64,
}

/// Stored under the SHA-256 of the token's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// What it was issued under.
    pub grant: GrantId,
    /// What it allows: the grant's scopes, or fewer.
    pub scopes: Scopes,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// The revocation log's head when it was stored; set by the store.
    pub born: Sequence,
    /// The grant's data key, sealed under the token's key.
    pub wrapped_key: Sealed,
}

// === impl Grant ===

impl Grant {
    /// The scopes that a revocation must have to end this grant.
    pub fn revoked_by(&self) -> [Scope; 5] {
        [
            Scope::Grant(self.id.clone()),
            Scope::Client(self.client.clone()),
            Scope::Subject(self.provider.clone(), self.subject.clone()),
            Scope::Server(self.server.clone()),
            Scope::Everything,
        ]
    }

    /// What authz is to know of one of this grant's access tokens, and what the MCP server is to get for it.
    pub fn record(&self, id: TokenId, token: AccessToken, credential: Composed) -> TokenRecord {
        TokenRecord {
            token: id,
            grant: self.id.clone(),
            client: self.client.clone(),
            provider: self.provider.clone(),
            subject: self.subject.clone(),
            email: self.email.clone().map(Into::into),
            server: self.server.clone(),
            scopes: token.scopes.into_vec().into_iter().map(Into::into).collect(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            born: token.born,
            wrapped_key: token.wrapped_key,
            credential: credential.sealed,
            credential_expires_at: credential.expires_at,
            credential_revision: credential.revision,
        }
    }
}

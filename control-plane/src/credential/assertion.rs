//! A short-lived signed statement about the caller, for MCP servers that verify for themselves who calls.

use std::time::Duration;

use portcullis_proto::random::{Random, base62};
use portcullis_proto::time::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

use crate::config::Server;
use crate::oauth::grant::{AccessToken, Grant};
use crate::signing::{SignError, Signer};

/// How long an assertion is good for.
const LIFE: Duration = Duration::from_mins(5);
/// How long before its end it is used no more: a request takes a while, and clocks differ a little.
const SPARE: Duration = Duration::from_secs(30);
/// Length of `jti`, in characters of base62: more than 128 bits.
const JTI: usize = 22;

/// The claims (RFC 7519 section 4.1, RFC 8693 section 4.2 and 4.3). There is no `nbf`: it would add nothing to `iat`
/// but a way to be refused for a clock that is a second behind.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    /// The origin of the MCP server's URL: where the metadata is that names the key set.
    iss: String,
    /// The provider's immutable identifier of the user. Two providers may have the same one: see `provider`.
    sub: &'a str,
    /// The MCP server's URL.
    aud: &'a str,
    client_id: &'a str,
    scope: String,
    jti: String,
    iat: u64,
    exp: u64,
    /// Where the user logged in, by its name in the configuration.
    provider: &'a str,
    /// As the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// Whether the provider vouches for it (OpenID Connect Core section 5.1); there where `email` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
}

/// An assertion about whoever uses this token at this server, and until when it is to be used.
pub(super) fn make(
    signer: &Signer,
    random: &dyn Random,
    server: &Server,
    grant: &Grant,
    token: &AccessToken,
    now: Timestamp,
) -> Result<(SecretString, Timestamp), SignError> {
    let claims = Claims {
        iss: server.issuer(),
        sub: grant.subject.as_str(),
        aud: server.url.as_str(),
        client_id: grant.client.as_str(),
        scope: token.scopes.to_string(),
        jti: base62(random, JTI),
        iat: now.as_secs(),
        exp: now.after(LIFE).as_secs(),
        provider: grant.provider.as_str(),
        email: grant.email.as_deref(),
        email_verified: grant.email.as_ref().map(|_| grant.email_verified),
    };
    Ok((signer.sign(&claims)?.into(), now.after(LIFE.saturating_sub(SPARE))))
}

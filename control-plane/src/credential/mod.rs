//! What the MCP server gets in the proxy token's place. Made when authz asks about a token, sealed so that only the
//! token opens it.
//!
//! [`compose`] puts it together, from what the configuration says and from what may change while the process runs
//! ([`recipe`], [`files`]).

mod assertion;
pub mod files;
pub mod recipe;
#[cfg(test)]
mod tests;
pub mod user_token;

use std::time::Duration;

use portcullis_proto::seal::{Field, OpenError, Sealed, SealingKey};
use portcullis_proto::time::Timestamp;
use portcullis_proto::v1;
use prost::Message;
use secrecy::SecretString;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::app::App;
use crate::config::{CredentialHeader, CredentialMode, Server};
use crate::oauth::grant::{AccessToken, Composed, Grant, Upstream};
use crate::signing::SignError;
use crate::store::StoreError;

/// How soon a credential that does not need the provider is asked for again where the provider could not be asked
/// whether the user is still welcome. Authz asks a minute ahead, so it is 30 s.
const AGAIN: Duration = Duration::from_secs(90);

/// Why there is no credential.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// The grant's server is not configured any more.
    #[error("the server is not configured any more")]
    NotConfigured,
    /// Only a new authorization brings one.
    #[error("the user has to authorize again")]
    AuthorizeAgain,
    /// The grant's data key, or what is sealed under it.
    #[error("the grant's sealed values do not open")]
    Open(#[from] OpenError),
    /// The assertion.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one way of holding a credential gives.
struct Part {
    headers: Vec<v1::Header>,
    /// From when on it is of no use, or must be asked for again.
    expires_at: Option<Timestamp>,
}

/// What the MCP server is to get in this token's place at `now`, by the clock that authz's must agree with. The grant
/// must be good: its own credential too, where that is what the server gets.
pub async fn compose(
    app: &App,
    token: &AccessToken,
    grant: &Grant,
    now: Timestamp,
) -> Result<Composed, ComposeError> {
    let server = app.config.servers.get(&grant.server).ok_or(ComposeError::NotConfigured)?;
    let recipe = app.recipes.of(&grant.server).ok_or(ComposeError::NotConfigured)?;
    let (upstream, revision) = (&grant.upstream, recipe.revision);
    if server.credential.is_provider_token() && server.assertion.is_none() {
        let sealed = upstream.credential.clone();
        return Ok(Composed { sealed, expires_at: upstream.credential_expires_at, revision });
    }
    let data_key = app.keys.unwrap_key(&grant.master_key, &grant.id, &grant.data_key)?;
    let again = ask_again(server, upstream, now);
    let Part { mut headers, mut expires_at } = match &server.credential {
        CredentialMode::ProviderToken => {
            Part { headers: open(&data_key, grant)?, expires_at: upstream.credential_expires_at }
        }
        CredentialMode::Static(fixed) => {
            let secret = recipe.secret.as_ref().unwrap_or(&fixed.secret);
            Part { headers: vec![fixed.header.with(secret)], expires_at: again }
        }
        CredentialMode::Assertion => {
            let (assertion, until) = assert(app, server, grant, token, now)?;
            let headers = vec![CredentialHeader::bearer().with(&assertion)];
            Part { headers, expires_at: earliest(Some(until), again) }
        }
        CredentialMode::None => Part { headers: Vec::new(), expires_at: again },
        CredentialMode::UserToken(settings) => {
            let headers = user_token::headers(app, grant, settings).await?;
            Part { headers, expires_at: again }
        }
    };
    if let Some(name) = &server.assertion {
        let (assertion, until) = assert(app, server, grant, token, now)?;
        headers.push(CredentialHeader { name: name.clone(), scheme: None }.with(&assertion));
        expires_at = earliest(expires_at, Some(until));
    }
    Ok(Composed { sealed: seal(app, &data_key, grant, headers), expires_at, revision })
}

/// When a credential that does not need the provider's is asked for again, so that the provider is asked in time
/// whether the user is still welcome. Where there are rules it must be asked in time; otherwise the answer may wait, and
/// without a refresh token there is none.
fn ask_again(server: &Server, upstream: &Upstream, now: Timestamp) -> Option<Timestamp> {
    let expires_at = upstream.credential_expires_at?;
    if server.allow.is_some() {
        return Some(expires_at);
    }
    upstream.refresh_token.as_ref().map(|_| expires_at.max(now.after(AGAIN)))
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn assert(
    app: &App,
    server: &Server,
    grant: &Grant,
    token: &AccessToken,
    now: Timestamp,
) -> Result<(SecretString, Timestamp), ComposeError> {
    let signer = app.signer.as_ref().ok_or(ComposeError::NotConfigured)?;
    Ok(assertion::make(signer, app.random.as_ref(), server, grant, token, now)?)
}

/// The provider's credential, for a moment.
fn open(data_key: &SealingKey, grant: &Grant) -> Result<Vec<v1::Header>, OpenError> {
    let encoded = data_key.open(&grant.id, Field::Credential, &grant.upstream.credential)?;
    Ok(v1::Credential::decode(encoded.as_slice()).map_err(|_| OpenError)?.headers)
}

fn seal(app: &App, data_key: &SealingKey, grant: &Grant, headers: Vec<v1::Header>) -> Sealed {
    let mut credential = v1::Credential { headers };
    let encoded = Zeroizing::new(credential.encode_to_vec());
    credential.headers.iter_mut().for_each(|header| header.value.zeroize());
    data_key.seal(app.random.as_ref(), &grant.id, Field::Credential, &encoded)
}

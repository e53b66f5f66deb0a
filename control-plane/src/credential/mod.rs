//! What the MCP server gets in the proxy token's place. Made when authz asks about a token, sealed so that only the
//! token opens it.

use portcullis_proto::seal::{Field, OpenError, SealingKey};
use portcullis_proto::time::Timestamp;
use portcullis_proto::v1;
use prost::Message;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::app::App;
use crate::config::CredentialMode;
use crate::oauth::grant::{AccessToken, Composed, Grant};
use crate::store::StoreError;

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
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the MCP server is to get in this token's place. The grant's own credential must be good.
pub async fn compose(
    app: &App,
    _token: &AccessToken,
    grant: &Grant,
    _now: Timestamp,
) -> Result<Composed, ComposeError> {
    let server = app.config.servers.get(&grant.server).ok_or(ComposeError::NotConfigured)?;
    let upstream = &grant.upstream;
    let headers = match &server.credential {
        CredentialMode::ProviderToken => {
            return Ok(Composed {
                sealed: upstream.credential.clone(),
                expires_at: upstream.credential_expires_at,
                revision: 0,
            });
        }
        CredentialMode::Static(fixed) => vec![fixed.header.with(&fixed.secret)],
        CredentialMode::None => Vec::new(),
        CredentialMode::UserToken(_) | CredentialMode::Assertion => return Err(ComposeError::AuthorizeAgain),
    };
    let data_key = app.keys.unwrap_key(&grant.master_key, &grant.id, &grant.data_key)?;
    // Where there are rules the user must be asked about again, which follows a refresh: whoever holds this must come
    // back for that in time.
    let expires_at = server.allow.as_ref().and(upstream.credential_expires_at);
    Ok(Composed { sealed: seal(app, &data_key, grant, headers), expires_at, revision: 0 })
}

fn seal(
    app: &App,
    data_key: &SealingKey,
    grant: &Grant,
    headers: Vec<v1::Header>,
) -> portcullis_proto::seal::Sealed {
    let credential = Zeroizing::new(v1::Credential { headers }.encode_to_vec());
    data_key.seal(app.random.as_ref(), &grant.id, Field::Credential, &credential)
}

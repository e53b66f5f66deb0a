//! Client authentication, for the token and revocation endpoints.

use axum::http::{HeaderMap, header};

use super::extract::single;
use crate::app::App;
use crate::client_document::DocumentError;
use crate::clients::{self, ClientError};
use crate::issuer::Issuer;
use crate::oauth::assertion::{self, AssertionError, Unverified};
use crate::oauth::client::{Client, ClientAuth, Credentials};
use crate::oauth::client_keys::{self, KeySource};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::params::Params;
use crate::oauth::token_request;

/// The client that sends the request, authenticated by the method that it registered.
pub async fn authenticate(
    app: &App,
    issuer: &Issuer,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Client, OAuthError> {
    let authorization = single(headers, header::AUTHORIZATION.as_str());
    if authorization.is_none() && headers.contains_key(header::AUTHORIZATION) {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "the Authorization header is malformed"));
    }
    let credentials = token_request::credentials(authorization, params)?;
    let client = clients::find_to_authenticate(app, credentials.client()).await?;
    match (&client.auth, &credentials) {
        (ClientAuth::PrivateKeyJwt(keys), Credentials::Assertion(_, assertion)) => {
            verify(app, issuer, &client, keys, assertion).await?;
            Ok(client)
        }
        _ if client.authenticates(&credentials) => Ok(client),
        _ => Err(not_authenticated()),
    }
}

fn not_authenticated() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "the client is unknown, or did not authenticate as it registered",
    )
}

/// RFC 7523 section 3. The assertion is used up last: one that is refused for another reason stays good.
async fn verify(
    app: &App,
    issuer: &Issuer,
    client: &Client,
    keys: &KeySource,
    assertion: &Unverified,
) -> Result<(), OAuthError> {
    let claims = match keys {
        KeySource::Set(jwks) => {
            assertion.verify(&client_keys::key_set(jwks).map_err(DocumentError::from)?)?
        }
        KeySource::Uri(uri) => {
            let documents = app.documents.as_ref().ok_or_else(not_authenticated)?;
            assertion.verify(documents.keys(uri, |keys| !assertion.is_known_to(keys)).await?.as_ref())?
        }
    };
    // Clients that keep identifiers as URLs write an origin with a slash.
    let audiences = [issuer.identifier.clone(), format!("{}/", issuer.identifier), issuer.url("/token")];
    let once = assertion::check(&claims, &client.id, &audiences, app.now())?;
    if app.store.use_once(once.id, once.until).await? { Ok(()) } else { Err(AssertionError::Replayed.into()) }
}

impl From<ClientError> for OAuthError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unknown => not_authenticated(),
            ClientError::Document(error) => error.into(),
            ClientError::Store(error) => error.into(),
        }
    }
}

impl From<DocumentError> for OAuthError {
    fn from(error: DocumentError) -> Self {
        let code =
            if error.may_pass() { ErrorCode::TemporarilyUnavailable } else { ErrorCode::InvalidClient };
        Self::new(code, format!("the client cannot be used: {error}"))
    }
}

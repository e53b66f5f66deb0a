//! Client authentication, for the token and revocation endpoints.

use axum::http::{HeaderMap, header};

use super::extract::single;
use crate::app::App;
use crate::oauth::client::Client;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::params::Params;
use crate::oauth::token_request;

/// The client that sends the request, authenticated by the method that it registered.
pub async fn authenticate(app: &App, headers: &HeaderMap, params: &Params) -> Result<Client, OAuthError> {
    let authorization = single(headers, header::AUTHORIZATION.as_str());
    if authorization.is_none() && headers.contains_key(header::AUTHORIZATION) {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "the Authorization header is malformed"));
    }
    let credentials = token_request::credentials(authorization, params)?;
    match app.store.client(credentials.client(), app.now()).await? {
        Some(client) if client.authenticates(&credentials) => Ok(client),
        _ => Err(OAuthError::new(
            ErrorCode::InvalidClient,
            "the client is unknown, or did not authenticate as it registered",
        )),
    }
}

//! `POST /revoke` (RFC 7009). The answer comes when the revocation is durable; the edge learns it by push.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Presented, Refresh};

use super::client::authenticate;
use super::extract::{AtIssuer, Form};
use super::respond::{Failure, no_store};
use crate::app::App;
use crate::oauth::client::Client;
use crate::oauth::error::OAuthError;

/// Revokes a token of the client's own. What is not, or does not exist, changes nothing and gets the same
/// answer (RFC 7009 section 2.2).
pub async fn revoke(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<Response, Failure> {
    let client = authenticate(&app, &issuer, &headers, &params).await?;
    let token = params.require("token").map_err(OAuthError::from)?;
    match scope(&app, &client, token).await? {
        Some(scope) => drop(app.revoke(scope, "client").await.map_err(OAuthError::from)?),
        // It may have been revoked a moment ago, by a request that has no answer yet.
        None => app.store.settled().await.map_err(OAuthError::from)?,
    }
    Ok(no_store(StatusCode::OK.into_response()))
}

/// What goes with the token: an access token alone, or with a refresh token the whole grant. The token tells
/// which it is, so `token_type_hint` is not needed.
async fn scope(app: &App, client: &Client, token: &str) -> Result<Option<Scope>, OAuthError> {
    if let Ok(token) = Presented::<Access>::parse(token) {
        // Expired or not, by whichever clock: what is revoked is revoked.
        let found = app.store.access_token(&token.id(), Timestamp::default()).await?;
        return Ok(found.filter(|(_, grant)| grant.client == client.id).map(|_| Scope::Token(token.id())));
    }
    let Ok(token) = Presented::<Refresh>::parse(token) else { return Ok(None) };
    let Some(row) = app.store.refresh_token(&token.id()).await? else { return Ok(None) };
    let grant = app.store.live_grant(&row.grant).await?;
    Ok(grant.filter(|grant| grant.client == client.id).map(|grant| Scope::Grant(grant.id)))
}

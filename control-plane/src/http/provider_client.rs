//! `GET /provider-clients/<client>.json`: what a client is at providers that fetch the metadata of their clients
//! (draft-ietf-oauth-client-id-metadata-document). The document's URL is the client's identifier there.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::extract::AtIssuer;
use super::metadata::cacheable;
use crate::acting;
use crate::app::App;
use crate::clients;

/// The metadata document of a client, at the origins where one can be asked for. It says what the client
/// calls itself and nothing else of it.
pub async fn document(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    Path(file): Path<String>,
) -> Response {
    let Some(id) = acting::document::client(&file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match clients::known(&app, &id).await {
        Ok(client) => match client.and_then(|client| acting::metadata(&app, &issuer, &client)) {
            Some(document) => cacheable(document),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Err(error) => {
            tracing::error!(%error, "the store failed");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

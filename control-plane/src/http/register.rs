//! `POST /register` (RFC 7591 section 3). A façade: every client rides the one app that Portcullis is at the
//! provider, and nothing here says so.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::extract::{AtIssuer, JsonBody};
use super::respond::{Failure, json_bytes};
use crate::app::App;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::registration::Registration;
use crate::store::Registered;

/// Registers a client.
pub async fn register(
    State(app): State<Arc<App>>,
    AtIssuer(_): AtIssuer,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    if !app.config.clients.registration {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    let registration = Registration::parse(&body, app.issuers.origins()).map_err(OAuthError::from)?;
    let now = app.now();
    let unused_until = now.after(app.config.lifetimes.unused_client);
    let application_type = registration.application_type();
    let (client, secret) = registration.into_client(app.random.as_ref(), now, unused_until);
    let mut answer = json!({
        "client_id": client.id,
        "client_id_issued_at": now.as_secs(),
        "client_name": client.name,
        "client_uri": client.uri,
        "redirect_uris": client.redirect_uris,
        "application_type": application_type,
        "token_endpoint_auth_method": client.auth.method(),
        "jwks": client.auth.jwks(),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    if let Some(members) = answer.as_object_mut() {
        // Some clients take null for a wrong type.
        members.retain(|_, value| !value.is_null());
        if let Some(secret) = &secret {
            members.insert("client_secret".into(), secret.expose().into());
            members.insert("client_secret_expires_at".into(), 0.into());
        }
    }
    let (id, name) = (client.id.clone(), client.name.clone());
    match app.store.register(client, app.config.limits.unused_clients).await.map_err(OAuthError::from)? {
        Registered::Done => {
            app.metrics.registrations.inc();
            tracing::info!(client = %id, name, "client registered");
            Ok(json_bytes(StatusCode::CREATED, answer.to_string().into_bytes()))
        }
        Registered::Full => {
            tracing::warn!("registration refused: too many registrations that nobody has used");
            Err(OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "too many clients have registered lately; try again later",
            )
            .into())
        }
    }
}

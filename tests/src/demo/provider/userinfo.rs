//! Who an access token belongs to (OpenID Connect Core 1.0 section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::{OAuthError, Provider};

pub(super) async fn userinfo(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
) -> Result<Json<Value>, OAuthError> {
    let presented = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or(OAuthError::INVALID_TOKEN)?;
    let now = provider.now();
    let state = provider.state();
    let token = state
        .access_tokens
        .get(presented)
        .filter(|token| token.expires_at > now)
        .ok_or(OAuthError::INVALID_TOKEN)?;
    let mut claims = json!({ "sub": token.user.id, "name": token.user.name });
    if token.scope.split(' ').any(|scope| scope == "email") {
        claims["email"] = json!(token.user.email);
        claims["email_verified"] = json!(true);
    }
    Ok(Json(claims))
}

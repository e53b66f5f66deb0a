//! The token endpoint (RFC 6749 sections 4.1.3 and 6, OpenID Connect Core 1.0 section 3.1.3).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{AccessToken, OAuthError, Parameters, Provider, Session, secret};

pub(super) async fn token(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(form): Form<Parameters>,
) -> Result<Response, OAuthError> {
    provider.settings.authenticate(&headers, &form)?;
    let session = match form.get("grant_type").map(String::as_str) {
        Some("authorization_code") => redeem(&provider, &form)?,
        Some("refresh_token") => rotate(&provider, &form)?,
        _ => return Err(OAuthError::UNSUPPORTED_GRANT_TYPE),
    };
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(match issue(&provider, session) {
        Ok(tokens) => ([no_store], Json(tokens)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    })
}

fn redeem(provider: &Provider, form: &Parameters) -> Result<Session, OAuthError> {
    let get = |name: &str| form.get(name).map_or("", String::as_str);
    let code = provider.state().codes.take(get("code")).ok_or(OAuthError::INVALID_GRANT)?;
    let verifier = digest(&SHA256, get("code_verifier").as_bytes());
    let sound = code.expires_at > provider.now()
        && code.redirect_uri.as_str() == get("redirect_uri")
        && code.challenge == URL_SAFE_NO_PAD.encode(verifier);
    if sound { Ok(code.session) } else { Err(OAuthError::INVALID_GRANT) }
}

/// A refresh token is good for one use: the answer brings the next.
fn rotate(provider: &Provider, form: &Parameters) -> Result<Session, OAuthError> {
    form.get("refresh_token")
        .and_then(|token| provider.state().refresh_tokens.take(token))
        .ok_or(OAuthError::INVALID_GRANT)
}

fn issue(provider: &Provider, session: Session) -> jsonwebtoken::errors::Result<Value> {
    let now = provider.now();
    let lifetime = provider.settings.access_token_lifetime;
    let user = session.user;
    let mut claims = json!({
        "iss": provider.settings.issuer,
        "sub": user.id,
        "aud": provider.settings.client_id,
        "iat": now.as_secs(),
        "exp": now.after(lifetime).as_secs(),
        "name": user.name,
        "email": user.email,
        "email_verified": true,
        "groups": provider.state().groups.of(user),
    });
    if let Some(nonce) = &session.nonce {
        claims["nonce"] = json!(nonce);
    }
    let access_token = secret("demo_at_");
    let mut tokens = json!({
        "token_type": "Bearer",
        "access_token": access_token,
        "expires_in": lifetime.as_secs(),
        "scope": session.scope,
        "id_token": provider.key.sign(&claims)?,
    });
    let record = AccessToken { user, scope: session.scope.clone(), expires_at: now.after(lifetime) };
    let mut state = provider.state();
    state.access_tokens.insert(access_token, record);
    if session.scope.split(' ').any(|scope| scope == "offline_access") {
        let refresh_token = secret("demo_rt_");
        tokens["refresh_token"] = json!(refresh_token);
        state.refresh_tokens.insert(refresh_token, session);
    }
    Ok(tokens)
}

//! A small OpenID provider that believes whatever name is picked. For the demo and the tests only.
//!
//! What it does check, it checks as a provider must: client, redirect URI, PKCE (RFC 7636), single-use
//! codes, rotated refresh tokens. Everything is in memory and bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use portcullis_proto::random::{self, SystemRandom};
use portcullis_proto::time::{Clock, SystemClock, Timestamp};
use serde_json::json;
use url::Url;

mod authorize;
mod bounded;
mod client;
mod groups;
mod key;
mod metadata;
mod token;
mod user;
mod userinfo;

use bounded::Bounded;
use groups::Groups;
pub use key::KeyError;
use key::SigningKey;
use user::User;

/// How many logins, codes and tokens of each kind are kept; the oldest make room.
const KEPT: usize = 10_000;
const BODY_LIMIT: usize = 16 * 1024;

/// What the provider is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its issuer identifier: an origin, without a trailing slash.
    pub issuer: String,
    /// Its one client.
    pub client_id: String,
    /// The client's secret. A demo's: it protects nothing.
    pub client_secret: String,
    /// Where the client may be redirected to, compared as strings.
    pub redirect_uris: Vec<String>,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
}

/// The provider's HTTP surface.
pub fn router(settings: Settings) -> Result<Router, KeyError> {
    let provider =
        Provider { settings, key: SigningKey::generate()?, clock: SystemClock, state: Mutex::default() };
    Ok(Router::new()
        .route("/.well-known/openid-configuration", get(metadata::discovery))
        .route("/jwks", get(metadata::jwks))
        .route("/authorize", get(authorize::show))
        .route("/login", post(authorize::login))
        .route("/token", post(token::token))
        .route("/userinfo", get(userinfo::userinfo))
        .route("/groups", post(groups::change))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Arc::new(provider)))
}

type Parameters = HashMap<String, String>;

struct Provider {
    settings: Settings,
    key: SigningKey,
    clock: SystemClock,
    state: Mutex<State>,
}

struct State {
    logins: Bounded<Request>,
    codes: Bounded<Code>,
    access_tokens: Bounded<AccessToken>,
    refresh_tokens: Bounded<Session>,
    groups: Groups,
}

/// An authorization request that has passed every check.
struct Request {
    redirect_uri: Url,
    state: Option<String>,
    session: Unbound,
    challenge: String,
}

/// What was asked for, before anybody has logged in.
struct Unbound {
    scope: String,
    nonce: Option<String>,
}

/// Who has logged in, and for what.
#[derive(Clone)]
struct Session {
    user: &'static User,
    scope: String,
    nonce: Option<String>,
}

struct Code {
    session: Session,
    redirect_uri: Url,
    challenge: String,
    expires_at: Timestamp,
}

struct AccessToken {
    user: &'static User,
    scope: String,
    expires_at: Timestamp,
}

/// An error answer of an endpoint that speaks JSON (RFC 6749 section 5.2).
struct OAuthError {
    status: StatusCode,
    error: &'static str,
}

// === impl Provider ===

impl Provider {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// No handler leaves the state half changed, so a panic in one need not stop the others.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn secret(prefix: &str) -> String {
    format!("{prefix}{}", random::base62(&SystemRandom, 43))
}

// === impl State ===

impl Default for State {
    fn default() -> Self {
        Self {
            logins: Bounded::new(KEPT),
            codes: Bounded::new(KEPT),
            access_tokens: Bounded::new(KEPT),
            refresh_tokens: Bounded::new(KEPT),
            groups: Groups::default(),
        }
    }
}

// === impl OAuthError ===

impl OAuthError {
    const INVALID_CLIENT: Self = Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client" };
    const INVALID_GRANT: Self = Self { status: StatusCode::BAD_REQUEST, error: "invalid_grant" };
    const INVALID_TOKEN: Self = Self { status: StatusCode::UNAUTHORIZED, error: "invalid_token" };
    const UNSUPPORTED_GRANT_TYPE: Self =
        Self { status: StatusCode::BAD_REQUEST, error: "unsupported_grant_type" };
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        (self.status, axum::Json(json!({ "error": self.error }))).into_response()
    }
}

//! Every route of the OAuth surface.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode, header};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{Span, info_span};

use super::{authorize, callback, consent, metadata, page, register, revoke, token};
use crate::app::App;

/// Largest request body, in bytes. The edge has the same bound.
const MAX_BODY: usize = 64 * 1024;
/// Longest time for an answer: a provider has 10 s for each of its two or three.
const DEADLINE: Duration = Duration::from_secs(30);

/// The OAuth surface.
pub fn router(app: Arc<App>) -> Router {
    // Any page may use these: they give nothing to a browser that it has not sent itself.
    let open_to_scripts = Router::new()
        .route("/.well-known/oauth-protected-resource", get(metadata::only_resource))
        .route("/.well-known/oauth-protected-resource/{*path}", get(metadata::resource))
        .route("/.well-known/oauth-authorization-server", get(metadata::authorization_server))
        .route("/.well-known/oauth-authorization-server/{*path}", get(metadata::authorization_server_of))
        .route("/.well-known/openid-configuration", get(metadata::openid_configuration))
        .route("/.well-known/openid-configuration/{*path}", get(metadata::openid_configuration_of))
        .route("/.well-known/jwks.json", get(metadata::jwks))
        .route("/register", post(register::register))
        .route("/token", post(token::token))
        .route("/revoke", post(revoke::revoke))
        .fallback(metadata::appended)
        .layer(cors());
    let pages = Router::new()
        .route("/authorize", get(authorize::authorize))
        .route("/consent", post(consent::consent))
        .route("/callback", get(callback::callback))
        .route("/assets/portcullis.css", get(page::stylesheet));
    open_to_scripts
        .merge(pages)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, DEADLINE))
        .layer(CatchPanicLayer::new())
        .layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_failure(()))
        .with_state(app)
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        // A wildcard would not cover Authorization, which clients with a secret send.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(Duration::from_hours(1))
}

/// One span a request. The query stays out of it: it carries codes and states.
fn span(request: &Request) -> Span {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        request_id = text("x-request-id"),
    )
}

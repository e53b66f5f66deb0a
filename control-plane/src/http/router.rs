//! Every route of the OAuth surface.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{Span, info_span};

use super::respond::reached;
use super::{
    account, authorize, callback, consent, metadata, openapi, page, provider_client, register, revoke, token,
    user_token,
};
use crate::app::App;
use crate::limit::Limit;

/// Largest request body, in bytes. The edge has the same bound.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Longest path and query, in bytes: more than the longest `state` and redirect URI, escaped, come to.
const MAX_URI: usize = 16 * 1024;
/// Longest time for an answer. The edge waits 30 s; what asks a provider has a shorter bound of its own.
const DEADLINE: Duration = Duration::from_secs(25);

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
        .route("/openapi.json", get(openapi::openapi))
        .route("/register", post(register::register))
        .route("/token", post(token::token))
        .route("/revoke", post(revoke::revoke))
        .fallback(metadata::appended);
    let pages = Router::new()
        .route("/authorize", get(authorize::authorize))
        .route("/consent", post(consent::consent))
        .route("/callback", get(callback::callback).head(only_get))
        .route("/user-token", post(user_token::user_token))
        .route("/account", get(account::show))
        .route("/account/login", post(account::log_in))
        .route("/account/disconnect", post(account::disconnect))
        .route("/account/replace", post(account::replace))
        .route("/account/remove", post(account::remove))
        .route("/account/logout", post(account::logout))
        .route("/provider-clients/{file}", get(provider_client::document))
        .route("/assets/portcullis.css", get(page::stylesheet));
    // CORS around the bounds: a script must be able to read that one was reached.
    bounded(open_to_scripts)
        .layer(cors())
        .merge(bounded(pages))
        .layer(from_fn_with_state(app.clone(), limited))
        .layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_failure(()))
        .with_state(app)
}

/// A bound to each request's size and time. A panic ends one request and no more.
fn bounded(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, DEADLINE))
        .layer(CatchPanicLayer::new())
}

/// Refuses a URI that is too long, and counts limits that were reached.
async fn limited(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    let response = if length > MAX_URI {
        let text = format!("the URI has more than {MAX_URI} bytes\n");
        reached(Limit::Uri, (StatusCode::URI_TOO_LONG, text).into_response())
    } else {
        next.run(request).await
    };
    if let Some(limit) = response.extensions().get::<Limit>() {
        app.metrics.reached(*limit);
    }
    response
}

/// For what a HEAD, which promises to change nothing, would use up.
async fn only_get() -> impl IntoResponse {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")])
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

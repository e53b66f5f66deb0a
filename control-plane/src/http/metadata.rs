//! Discovery: protected-resource metadata (RFC 9728), authorization-server metadata (RFC 8414) and
//! OpenID Connect Discovery's document, which some clients read in its place.
//!
//! All that these say comes from the configuration; nothing of the request is in them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::extract::AtIssuer;
use crate::app::App;
use crate::issuer::Issuer;
use crate::oauth::client_keys::ALGORITHMS;
use crate::oauth::resource::Resource;

/// `GET /.well-known/oauth-protected-resource`: where the origin has only one server, its metadata.
pub async fn only_resource(AtIssuer(issuer): AtIssuer) -> Response {
    match issuer.resources.as_slice() {
        [only] => cacheable(protected_resource(&issuer, only)),
        _ => not_found(),
    }
}

/// `GET /.well-known/oauth-protected-resource/<path of the server's URL>` (RFC 9728 section 3.1).
pub async fn resource(AtIssuer(issuer): AtIssuer, Path(path): Path<String>) -> Response {
    match issuer.resource_at(&format!("/{path}")) {
        Some(resource) => cacheable(protected_resource(&issuer, resource)),
        None => not_found(),
    }
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 section 3).
pub async fn authorization_server(State(app): State<Arc<App>>, AtIssuer(issuer): AtIssuer) -> Response {
    cacheable(server_metadata(&app, &issuer))
}

/// The same behind a server's path: clients that take the MCP server's URL for an issuer look there.
pub async fn authorization_server_of(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    Path(path): Path<String>,
) -> Response {
    match issuer.resource_at(&format!("/{path}")) {
        Some(_) => cacheable(server_metadata(&app, &issuer)),
        None => not_found(),
    }
}

/// `GET /.well-known/openid-configuration` (OpenID Connect Discovery section 4).
pub async fn openid_configuration(State(app): State<Arc<App>>, AtIssuer(issuer): AtIssuer) -> Response {
    cacheable(openid_metadata(&app, &issuer))
}

/// The same behind a server's path.
pub async fn openid_configuration_of(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    Path(path): Path<String>,
) -> Response {
    match issuer.resource_at(&format!("/{path}")) {
        Some(_) => cacheable(openid_metadata(&app, &issuer)),
        None => not_found(),
    }
}

/// The position that OpenID Connect Discovery gives it for an issuer with a path: appended to that path.
/// Everything else that no route knows ends here too.
pub async fn appended(State(app): State<Arc<App>>, AtIssuer(issuer): AtIssuer, uri: Uri) -> Response {
    let document: fn(&App, &Issuer) -> Value = match uri.path() {
        path if path.ends_with("/.well-known/openid-configuration") => openid_metadata,
        path if path.ends_with("/.well-known/oauth-authorization-server") => server_metadata,
        _ => return not_found(),
    };
    let (server_path, _) = uri.path().split_once("/.well-known/").unwrap_or_default();
    match issuer.resource_at(server_path) {
        Some(_) => cacheable(document(&app, &issuer)),
        None => not_found(),
    }
}

/// `GET /.well-known/jwks.json` (RFC 7517 section 5): what assertions are verified with, where this issuer makes any.
pub async fn jwks(AtIssuer(issuer): AtIssuer, State(app): State<Arc<App>>) -> Response {
    match app.signer.as_ref().filter(|_| issuer.asserts) {
        Some(signer) => cacheable(signer.key_set()),
        None => cacheable(json!({ "keys": [] })),
    }
}

fn protected_resource(issuer: &Issuer, resource: &Resource) -> Value {
    json!({
        "resource": resource.url,
        "resource_name": resource.server.as_str(),
        "authorization_servers": [issuer.identifier],
        "scopes_supported": resource.scopes,
        "bearer_methods_supported": ["header"],
    })
}

fn server_metadata(app: &App, issuer: &Issuer) -> Value {
    let methods = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    let algorithms = ALGORITHMS.map(|(_, name)| name);
    let mut scopes: Vec<&str> = issuer.resources.iter().flat_map(|resource| resource.scopes.iter()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let mut metadata = json!({
        "issuer": issuer.identifier,
        "authorization_endpoint": issuer.url("/authorize"),
        "token_endpoint": issuer.url("/token"),
        "revocation_endpoint": issuer.url("/revoke"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": true,
    });
    if issuer.asserts {
        metadata["jwks_uri"] = jwks_uri(issuer).into();
    }
    if app.config.clients.registration {
        metadata["registration_endpoint"] = issuer.url("/register").into();
    }
    if app.documents.is_some() {
        metadata["client_id_metadata_document_supported"] = true.into();
    }
    metadata
}

fn jwks_uri(issuer: &Issuer) -> String {
    issuer.url("/.well-known/jwks.json")
}

/// The same with the members that OpenID Connect Discovery requires. There is no ID token behind it.
fn openid_metadata(app: &App, issuer: &Issuer) -> Value {
    let mut metadata = server_metadata(app, issuer);
    metadata["jwks_uri"] = jwks_uri(issuer).into();
    metadata["subject_types_supported"] = json!(["public"]);
    metadata["id_token_signing_alg_values_supported"] = json!(["RS256"]);
    metadata
}

pub(super) fn cacheable(document: Value) -> Response {
    let headers =
        [(header::CACHE_CONTROL, "public, max-age=300"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Json(document)).into_response()
}

fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

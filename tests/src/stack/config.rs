//! The `portcullis.yaml` of a stack. As JSON, which is YAML too.

use std::path::Path;

use serde_json::{Value, json};

use super::Addresses;
use super::build::Provider;

/// The name of the one server.
pub(super) const SERVER: &str = "demo";

pub(super) fn config(directory: &Path, addresses: &Addresses, provider: Provider) -> Value {
    let edge = addresses.edge.port();
    let issuer = format!("http://localhost:{}", addresses.provider.port());
    let mut corp = json!({
        "kind": "oidc",
        "issuer": issuer,
        "client_id": "portcullis",
        "client_secret": { "value": "demo-secret" },
        "scopes": ["openid", "email", "offline_access"],
    });
    if provider == Provider::OidcProvider {
        // It gives a refresh token only to those who ask for consent (OpenID Connect Core 1.0 section 11).
        corp["authorize_parameters"] = json!({ "prompt": "consent" });
    }
    json!({
        "listen": { "http": addresses.http, "grpc": addresses.grpc, "ops": addresses.ops },
        "store": { "sled": { "path": directory.join("data/control-plane") } },
        "keys": { "path": directory.join("data/keys") },
        "edge": { "listen": addresses.edge, "admin": addresses.admin, "authz": addresses.authz },
        "providers": { "corp": corp },
        "servers": {
            SERVER: {
                "url": format!("http://localhost:{edge}/demo/mcp"),
                "upstream": format!("http://127.0.0.1:{}/mcp", addresses.mcp_server.port()),
                "provider": "corp",
                "credential": "provider_token",
                "scopes": ["openid", "email"],
            },
        },
    })
}

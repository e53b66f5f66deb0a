//! The `portcullis.yaml` of a stack. As JSON, which is YAML too.

use std::path::Path;

use serde_json::{Value, json};

use super::Addresses;
use super::build::Provider;

/// The name of the one server.
pub(super) const SERVER: &str = "demo";

pub(super) fn config(directory: &Path, addresses: &Addresses, provider: Provider) -> Value {
    let edge = addresses.edge.port();
    let (corp, scopes) = corp(&format!("http://localhost:{}", addresses.provider.port()), provider);
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
                "scopes": scopes,
            },
        },
    })
}

/// The provider, and what the server's scopes are.
fn corp(url: &str, provider: Provider) -> (Value, &'static [&'static str]) {
    let mut corp = match provider {
        Provider::Demo | Provider::OidcProvider | Provider::None => json!({
            "kind": "oidc",
            "issuer": url,
            "scopes": ["openid", "email", "offline_access"],
        }),
        Provider::GitHub => json!({ "kind": "github", "base_url": url, "api_url": url }),
        Provider::Google => json!({ "kind": "google", "issuer": url, "hosted_domain": "example.com" }),
    };
    corp["client_id"] = "portcullis".into();
    corp["client_secret"] = json!({ "value": "demo-secret" });
    if provider == Provider::OidcProvider {
        // It gives a refresh token only to those who ask for consent (OpenID Connect Core 1.0 section 11).
        corp["authorize_parameters"] = json!({ "prompt": "consent" });
    }
    let scopes: &[&str] = if provider == Provider::GitHub { &["repo", "user"] } else { &["openid", "email"] };
    (corp, scopes)
}

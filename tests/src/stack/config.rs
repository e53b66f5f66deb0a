//! The `portcullis.yaml` of a stack. As JSON, which is YAML too.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Addresses;
use super::build::Provider;
use crate::edge::Certificate;

/// The name of the one server.
pub(super) const SERVER: &str = "demo";

/// What the provider wants to see of whoever registers a client.
pub(super) const INITIAL_ACCESS_TOKEN: &str = "demo-initial-access-token";

/// The edge's certificate, where it has one.
pub(super) const CERTIFICATE: &str = "tls.crt";

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

/// Lets the edge speak https.
pub(super) fn secure(directory: &Path, config: &mut Value) {
    let (made, certificate, key) =
        (Certificate::of("DNS:localhost"), directory.join(CERTIFICATE), directory.join("tls.key"));
    fs::copy(made.file(), &certificate).expect("a file");
    fs::copy(made.tls().private_key, &key).expect("a file");
    config["edge"]["tls"] = json!({ "certificate": certificate, "private_key": key });
    let url = &mut config["servers"][SERVER]["url"];
    *url = url.as_str().expect("a URL").replacen("http:", "https:", 1).into();
}

/// The provider, and what the server's scopes are.
fn corp(url: &str, provider: Provider) -> (Value, &'static [&'static str]) {
    let mut corp = match provider {
        Provider::Demo
        | Provider::OidcProvider
        | Provider::Registering
        | Provider::Documents
        | Provider::None => json!({
            "kind": "oidc",
            "issuer": url,
            "scopes": ["openid", "email", "offline_access"],
        }),
        Provider::GitHub => json!({ "kind": "github", "base_url": url, "api_url": url }),
        Provider::Google => json!({ "kind": "google", "issuer": url, "hosted_domain": "example.com" }),
    };
    match provider {
        Provider::Registering => {
            let token = json!({ "value": INITIAL_ACCESS_TOKEN });
            corp["registration"] = json!({ "dynamic": { "initial_access_token": token } });
        }
        Provider::Documents => corp["registration"] = "dynamic".into(),
        _ => {
            corp["client_id"] = "portcullis".into();
            corp["client_secret"] = json!({ "value": "demo-secret" });
        }
    }
    if matches!(provider, Provider::OidcProvider | Provider::Registering | Provider::Documents) {
        // It gives a refresh token only to those who ask for consent (OpenID Connect Core 1.0 section 11).
        corp["authorize_parameters"] = json!({ "prompt": "consent" });
    }
    let scopes: &[&str] = if provider == Provider::GitHub { &["repo", "user"] } else { &["openid", "email"] };
    (corp, scopes)
}

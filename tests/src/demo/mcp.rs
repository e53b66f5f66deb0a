//! An MCP server that tells what reaches it through the edge.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::routing::get;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::schemars::JsonSchema;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{schemars, tool, tool_router};
use serde::{Deserialize, Serialize};

/// What the edge's identity headers begin with.
const IDENTITY: &str = "x-portcullis-";

/// The MCP server at `/mcp`, and `/healthz`.
pub fn router() -> Router {
    // rmcp accepts loopback names only, against DNS rebinding; Envoy sends the upstream's own name.
    let config = StreamableHttpServerConfig::default();
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(|| Ok(Tools), sessions, config);
    Router::new().route("/healthz", get(|| async { "ok" })).nest_service("/mcp", service)
}

struct Tools;

#[derive(Debug, Serialize, JsonSchema)]
struct WhoAmI {
    /// The identity headers that the edge has set.
    identity: BTreeMap<String, String>,
    /// The credential that the edge has put in the proxy token's place.
    credential: Option<Credential>,
}

/// Enough to recognise a credential, not enough to use it.
#[derive(Debug, Serialize, JsonSchema)]
struct Credential {
    /// `Bearer`, as a rule.
    scheme: String,
    /// In characters.
    length: usize,
    /// The first twelve hexadecimal digits of its SHA-256.
    sha256: String,
    /// Whether it is a token of Portcullis: must always be false.
    is_proxy_token: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Echo {
    /// What to say.
    text: String,
}

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Who the edge says is calling, and a fingerprint of the credential it sent along")]
    fn whoami(Extension(parts): Extension<Parts>) -> Json<WhoAmI> {
        Json(who_am_i(&parts.headers))
    }

    #[tool(description = "Says what it is told")]
    fn echo(Parameters(Echo { text }): Parameters<Echo>) -> String {
        text
    }
}

fn who_am_i(headers: &HeaderMap) -> WhoAmI {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let identity = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(IDENTITY))
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    WhoAmI { identity, credential: headers.get(AUTHORIZATION).map(|value| fingerprint(&text(value))) }
}

fn fingerprint(authorization: &str) -> Credential {
    let (scheme, credential) = authorization.split_once(' ').unwrap_or(("", authorization));
    let hash = digest(&SHA256, credential.as_bytes());
    let mut first = [0; 8];
    first[2..].copy_from_slice(&hash.as_ref()[..6]);
    Credential {
        scheme: scheme.to_owned(),
        length: credential.chars().count(),
        sha256: format!("{:012x}", u64::from_be_bytes(first)),
        is_proxy_token: credential.starts_with("pcl_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_recognised_and_not_shown() {
        let mut headers = HeaderMap::new();
        headers.insert("x-portcullis-subject", "ada".parse().unwrap());
        headers.insert("cookie", "a=b".parse().unwrap());
        headers.insert(AUTHORIZATION, "Bearer pcl_at_secret".parse().unwrap());
        let shown = serde_json::to_string(&who_am_i(&headers)).unwrap();
        assert!(!shown.contains("secret") && !shown.contains("cookie"), "{shown}");
        assert!(shown.contains("60e409113e4d"), "{shown}");
        assert!(shown.contains(r#""is_proxy_token":true"#) && shown.contains("ada"), "{shown}");
    }
}

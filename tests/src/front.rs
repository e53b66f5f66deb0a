//! A small reverse proxy in front of the edge. It makes a Portcullis look older than it is, or adds a token for a
//! program that cannot log in. Answers pass through as they come, event streams too.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails, and says why")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// The edge has the same bound for MCP requests.
const MAX_BODY: usize = 4 << 20;

/// What the proxy hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Hides protected-resource metadata (RFC 9728), as if there were none: how servers were before MCP 2025-06-18.
    HidesResourceMetadata,
    /// Hides every metadata document: what MCP 2025-03-26 calls a server without metadata discovery, whose endpoints
    /// are at the root.
    HidesAllMetadata,
    /// Hides nothing.
    HidesNothing,
}

/// The proxy. Ends when it is dropped.
#[derive(Debug)]
pub struct Front {
    state: Arc<Mutex<Shared>>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    hidden: BTreeSet<String>,
    bearer: Option<HeaderValue>,
}

#[derive(Clone)]
struct Forward {
    to: SocketAddr,
    manner: Manner,
    client: Client,
    state: Arc<Mutex<Shared>>,
}

// === impl Front ===

impl Front {
    /// Listens, and passes on to `to`. The `Host` header stays what the client has sent.
    pub async fn start(listen: SocketAddr, to: SocketAddr, manner: Manner) -> Self {
        let state = Arc::<Mutex<Shared>>::default();
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
        let forward = Forward { to, manner, client, state: Arc::clone(&state) };
        let router = Router::new().fallback(pass_on).with_state(forward);
        let listener = TcpListener::bind(listen).await.expect("a free port");
        let task = tokio::spawn(async move {
            // Never returns by itself.
            let _ = axum::serve(listener, router).await;
        });
        Self { state, _task: AbortOnDropHandle::new(task) }
    }

    /// The paths that clients have asked for in vain.
    pub fn hidden(&self) -> BTreeSet<String> {
        lock(&self.state).hidden.clone()
    }

    /// From now on sends every request on with this access token.
    pub fn add_token(&self, access_token: &str) {
        let bearer = HeaderValue::from_str(&format!("Bearer {access_token}"));
        lock(&self.state).bearer = Some(bearer.expect("a token is a header value"));
    }
}

// === impl Manner ===

impl Manner {
    fn hides(self, path: &str) -> bool {
        match self {
            Self::HidesResourceMetadata => path.contains("/.well-known/oauth-protected-resource"),
            Self::HidesAllMetadata => path.contains("/.well-known/"),
            Self::HidesNothing => false,
        }
    }
}

fn lock(state: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass_on(State(forward): State<Forward>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if forward.manner.hides(&path) {
        lock(&forward.state).hidden.insert(path);
        return StatusCode::NOT_FOUND.into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("http://{}{path_and_query}", forward.to);
    let mut headers = parts.headers;
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if let Some(bearer) = lock(&forward.state).bearer.clone() {
        headers.insert(AUTHORIZATION, bearer);
    }
    let request = forward.client.request(parts.method, url).headers(headers).body(body);
    let Ok(answer) = request.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut answer = http::Response::from(answer).map(Body::new);
    for name in [CONNECTION, TRANSFER_ENCODING] {
        answer.headers_mut().remove(name);
    }
    if forward.manner.hides("/.well-known/oauth-protected-resource") {
        hide_in_challenge(answer.headers_mut());
    }
    answer
}

/// Takes `resource_metadata` (RFC 9728 section 5.1) out of the challenge.
fn hide_in_challenge(headers: &mut HeaderMap) {
    let Some(challenge) = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()) else { return };
    let Some((scheme, parameters)) = challenge.split_once(' ') else { return };
    let kept: Vec<_> =
        parameters.split(", ").filter(|parameter| !parameter.starts_with("resource_metadata=")).collect();
    let challenge = format!("{scheme} {}", kept.join(", "));
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_str(challenge.trim()).expect("it was one before"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_loses_the_metadata_and_nothing_else() {
        let mut headers = HeaderMap::new();
        let challenge = r#"Bearer resource_metadata="http://a/b", error="invalid_token", scope="a b""#;
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        hide_in_challenge(&mut headers);
        assert_eq!(headers[WWW_AUTHENTICATE], r#"Bearer error="invalid_token", scope="a b""#);
    }

    #[test]
    fn each_manner_hides_what_it_says() {
        let (resource, server) =
            ("/.well-known/oauth-protected-resource/demo/mcp", "/demo/mcp/.well-known/openid-configuration");
        assert!(
            Manner::HidesResourceMetadata.hides(resource) && !Manner::HidesResourceMetadata.hides(server)
        );
        assert!(Manner::HidesAllMetadata.hides(resource) && Manner::HidesAllMetadata.hides(server));
        assert!(!Manner::HidesAllMetadata.hides("/register"));
        assert!(!Manner::HidesNothing.hides(resource));
    }
}

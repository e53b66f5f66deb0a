//! What a user could pick in Portcullis's place. Each checks a bearer token that it has issued itself, puts the
//! provider's token in its place, and asks the same backend. Each runs as one instance, and knows one token.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use portcullis_tests::binaries::{root, tools};
use portcullis_tests::client::{Caller, Client, Metadata};
use portcullis_tests::process::Running;
use portcullis_tests::programs::{Place, free_addresses};
use serde_json::json;

use crate::START;
use crate::ladder::Step;
use crate::load::Load;

/// A peer that could not be had, and why.
#[derive(Debug)]
pub struct Missing {
    /// Its name.
    pub name: &'static str,
    /// Why.
    pub why: String,
}

#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    kind: Kind,
    call: Call,
}

#[derive(Clone, Copy)]
enum Kind {
    FastMcp,
    /// Where its tokens are.
    Workers(&'static str),
}

#[derive(Clone, Copy)]
enum Call {
    Get(&'static str),
    Tool,
}

const PEERS: [Peer; 4] = [
    Peer {
        name: "workers-oauth-provider on workerd, tokens in a Map",
        kind: Kind::Workers("map"),
        call: Call::Get("/mcp"),
    },
    Peer {
        name: "workers-oauth-provider on workerd, tokens in miniflare's KV",
        kind: Kind::Workers("kv"),
        call: Call::Get("/mcp"),
    },
    Peer {
        name: "FastMCP OAuthProxy, plain forward, tokens in memory",
        kind: Kind::FastMcp,
        call: Call::Get("/forward"),
    },
    Peer { name: "FastMCP OAuthProxy, tool call, tokens in memory", kind: Kind::FastMcp, call: Call::Tool },
];

/// Starts all that can be had, each with somebody logged in.
pub async fn start(place: &Place, connections: usize, backend: SocketAddr) -> (Vec<Step>, Vec<Missing>) {
    let (mut steps, mut missing) = (Vec::new(), Vec::new());
    for (number, peer) in PEERS.into_iter().enumerate() {
        let (place, listen) = (place.clone(), free_addresses::<1>().unwrap()[0]);
        // What is wrong with a peer must not end the measurement of everything else.
        let started = tokio::spawn(async move {
            let (server, token) = peer.start(&place, number, listen, backend).await?;
            Ok::<_, String>((server, Arc::new(peer.request(listen, &token))))
        });
        let started = started.await.unwrap_or_else(|panic| Err(panic.to_string()));
        match started {
            Ok((server, request)) => {
                let requests = Arc::new(move || Request::clone(&request));
                let load =
                    Load { address: listen, requests, expected: &[StatusCode::OK], connections, rate: None };
                steps.push(Step {
                    name: peer.name.to_owned(),
                    load,
                    envoy: None,
                    server: Some(Arc::new(server)),
                });
            }
            Err(why) => {
                eprintln!("{}: {why}", peer.name);
                missing.push(Missing { name: peer.name, why });
            }
        }
    }
    (steps, missing)
}

// === impl Peer ===

impl Peer {
    /// Starts it, and gets an access token of it. The provider is there for the login only.
    async fn start(
        self,
        place: &Place,
        number: usize,
        listen: SocketAddr,
        backend: SocketAddr,
    ) -> Result<(Running, String), String> {
        let [provider] = free_addresses().map_err(text)?;
        let callback = match self.kind {
            Kind::FastMcp => format!("http://{listen}/auth/callback"),
            Kind::Workers(_) => format!("http://{listen}/callback"),
        };
        let mut login = place.demo_provider(provider, &callback).map_err(text)?;
        login.name = format!("peer-{number}-provider");
        login.log = place.log(&login.name);
        let mut login = login.start().map_err(text)?;
        login.ready(START).await.map_err(text)?;
        let port = listen.port().to_string();
        let (provider, backend) =
            (format!("http://localhost:{}", provider.port()), format!("http://{backend}"));
        let (executable, script, more) = match self.kind {
            Kind::FastMcp => (tools("bin/python"), "fastmcp_proxy.py", None),
            Kind::Workers(tokens) => {
                (directory().join("node_modules/.bin/node"), "workers.mjs", Some(tokens))
            }
        };
        let script = directory().join(script);
        let arguments = [script.to_string_lossy().into_owned(), port, provider, backend];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more).collect();
        let ready = format!("http://{listen}/healthz");
        let program = place.program(&format!("peer-{number}"), executable, &arguments, ready);
        let mut server = program.start().map_err(text)?;
        server.ready(START).await.map_err(text)?;
        let token = self.log_in(listen).await?;
        // One that lets everybody in has nothing to do.
        let request = self.request(listen, &format!("{token}x"));
        let requests = Arc::new(move || request.clone());
        let expected = &[StatusCode::UNAUTHORIZED];
        Load { address: listen, requests, expected, connections: 1, rate: None }.run(Duration::ZERO).await;
        Ok((server, token))
    }

    async fn log_in(self, listen: SocketAddr) -> Result<String, String> {
        let origin = format!("http://{listen}");
        let issuer = match self.kind {
            Kind::FastMcp => format!("{origin}/"),
            Kind::Workers(_) => origin.clone(),
        };
        let metadata = Metadata {
            issuer,
            authorization_endpoint: format!("{origin}/authorize"),
            token_endpoint: format!("{origin}/token"),
            registration_endpoint: format!("{origin}/register"),
            revocation_endpoint: String::new(),
        };
        let resource = format!("{origin}/mcp");
        let client = Client::attempt_register(Caller::default(), &resource, &metadata, "bench").await;
        let client = client.map_err(text)?;
        let (authorization, code) = client.attempt_authorize("ada").await.map_err(text)?;
        Ok(client.attempt_redeem(&authorization, &code).await.map_err(text)?.access_token)
    }

    fn request(self, listen: SocketAddr, token: &str) -> Request<Full<Bytes>> {
        let request = Request::builder()
            .header("host", listen.to_string())
            .header("authorization", format!("Bearer {token}"));
        match self.call {
            Call::Get(path) => request.method("GET").uri(path).body(Full::default()),
            Call::Tool => {
                let call = json!({
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "tools/call",
                    "params": { "name": "ask", "arguments": {} },
                });
                request
                    .method("POST")
                    .uri("/mcp")
                    .header("content-type", "application/json")
                    .header("accept", "application/json, text/event-stream")
                    .header("mcp-protocol-version", "2025-06-18")
                    .body(Full::from(call.to_string()))
            }
        }
        .unwrap()
    }
}

fn directory() -> PathBuf {
    root().join("tests/bench/peers")
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: impl ToString) -> String {
    error.to_string()
}

//! The edge between parts that a test controls: a real Envoy with the rendered configuration, an authz whose answer
//! is written in the token, and recorders in the places of the MCP server and the control plane.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "only tests use it: what fails here fails the test"
)]

mod authz;
mod certificate;
mod envoy;
mod recorder;
mod request;

use portcullis_envoy::{Edge, Limits, SYSTEM_CA, Server, VirtualHost};
use url::Url;

pub use self::authz::{Answer, CREDENTIAL, DENIAL, REASON, ScriptedAuthz, UNLUCKY_CREDENTIAL};
pub use self::certificate::Certificate;
pub use self::envoy::{Envoy, validate};
pub use self::recorder::{Recorded, Recorder};
pub use self::request::{Request, Response};
use crate::programs::free_addresses;

/// The authority of the fixture's only origin, `http://mcp.test`.
pub const AUTHORITY: &str = "mcp.test";

/// The browser-based client that may call.
pub const ALLOWED_ORIGIN: &str = "https://app.example.com";

/// Everything, running. Stops when it is dropped.
#[derive(Debug)]
pub struct Fixture {
    /// Behind `ext_authz`.
    pub authz: ScriptedAuthz,
    /// Behind `/demo/mcp` as `/mcp`, and behind `/demo/mcp/inner` as `/inner/`.
    pub upstream: Recorder,
    /// Behind the OAuth surface.
    pub control_plane: Recorder,
    /// In front.
    pub envoy: Envoy,
}

impl Fixture {
    /// Starts everything.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts everything, with an edge that differs from the usual one.
    pub async fn with(change: impl FnOnce(&mut Edge)) -> Self {
        Self::build(change, false).await
    }

    /// The same, but every request says from where it comes, by [`Request::from`].
    pub async fn behind_a_proxy(change: impl FnOnce(&mut Edge)) -> Self {
        Self::build(change, true).await
    }

    async fn build(change: impl FnOnce(&mut Edge), behind_a_proxy: bool) -> Self {
        let authz = ScriptedAuthz::start().await;
        let upstream = Recorder::start().await;
        let control_plane = Recorder::start().await;
        let [listen, admin] = free_addresses().unwrap();
        let mut edge = Edge {
            listen,
            tls: None,
            admin,
            authz: vec![authz.address().into()],
            control_plane: control_plane.address().into(),
            mesh: None,
            allowed_origins: vec![ALLOWED_ORIGIN.to_owned()],
            trusted_ca: SYSTEM_CA.into(),
            virtual_hosts: vec![VirtualHost {
                origin: Url::parse(&format!("http://{AUTHORITY}")).unwrap().origin(),
                servers: vec![
                    server("demo", "/demo/mcp", &format!("http://{}/mcp", upstream.address())),
                    server("inner", "/demo/mcp/inner", &format!("http://{}/inner/", upstream.address())),
                ],
            }],
            limits: Limits::default(),
        };
        change(&mut edge);
        let envoy =
            if behind_a_proxy { Envoy::start_behind_a_proxy(&edge).await } else { Envoy::start(&edge).await };
        Self { authz, upstream, control_plane, envoy }
    }

    /// Sends a request through Envoy and gives the answer.
    pub async fn send(&self, request: &Request) -> Response {
        request.send(self.envoy.address()).await
    }

    /// What reached the MCP server or the control plane, since the last call.
    pub fn forwarded(&self) -> Vec<Recorded> {
        [self.upstream.take(), self.control_plane.take()].concat()
    }
}

/// An MCP server behind the edge.
pub fn server(name: &str, path: &str, upstream: &str) -> Server {
    Server {
        name: name.to_owned(),
        path: path.to_owned(),
        upstream: upstream.parse().unwrap(),
        credential_headers: Vec::new(),
    }
}

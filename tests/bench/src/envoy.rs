//! Envoys with one filter each, and one as the edge has it.

use std::fs;
use std::net::SocketAddr;

use askama::Template;
use portcullis_envoy::{Edge, Limits, Rate, SYSTEM_CA, VirtualHost, render};
use portcullis_tests::edge::server;
use portcullis_tests::process::Running;
use portcullis_tests::programs::Place;
use url::Url;

use crate::START;

/// What Envoy does before it forwards a request.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Nothing.
    None,
    /// Asks an authorization server at this address.
    Authz(SocketAddr),
    /// Verifies a token signed by a key of this set (RFC 7517).
    Jwt(String),
}

#[derive(Template)]
#[template(path = "envoy.yaml", escape = "none")]
struct Config<'a> {
    listen: SocketAddr,
    admin: SocketAddr,
    backend: SocketAddr,
    filter: &'a Filter,
}

/// A bound that no load reaches.
const NO_BOUND: Rate = Rate { per_address: 1_000_000_000, overall: 1_000_000_000 };

/// Starts one with one filter, and waits until it is ready.
pub async fn start(
    place: &Place,
    name: &str,
    listen: SocketAddr,
    admin: SocketAddr,
    backend: SocketAddr,
    filter: &Filter,
) -> Running {
    run(place, name, &Config { listen, admin, backend, filter }.render().unwrap(), admin).await
}

/// The edge as it is shipped, with a server `demo` at `http://localhost/mcp`: with its gate, its rate limits and its access
/// log. The load comes from one address, so the limits are counted, but do not hold it up.
pub fn edge(listen: SocketAddr, admin: SocketAddr, backend: SocketAddr, authz: SocketAddr) -> String {
    let edge = Edge {
        listen,
        tls: None,
        admin,
        authz: vec![authz.into()],
        control_plane: backend.into(), // is never asked
        mesh: None,
        allowed_origins: Vec::new(),
        trusted_ca: SYSTEM_CA.into(),
        virtual_hosts: vec![VirtualHost {
            origin: Url::parse("http://localhost").unwrap().origin(),
            servers: vec![server("demo", "/mcp", &format!("http://{backend}/mcp"))],
        }],
        limits: Limits { mcp: NO_BOUND, ..Limits::default() },
    };
    render(&edge).unwrap()
}

/// Starts one with this configuration, and waits until it is ready.
pub async fn run(place: &Place, name: &str, config: &str, admin: SocketAddr) -> Running {
    let file = place.directory.join(format!("{name}.yaml"));
    fs::write(&file, config).unwrap();
    let mut program = place.envoy(&file.to_string_lossy(), admin).unwrap();
    name.clone_into(&mut program.name);
    program.log = place.log(name);
    let mut running = program.start().unwrap();
    running.ready(START).await.unwrap();
    running
}

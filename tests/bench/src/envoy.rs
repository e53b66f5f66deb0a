//! Envoys with one filter each.

use std::fs;
use std::net::SocketAddr;

use askama::Template;
use portcullis_tests::process::Running;
use portcullis_tests::programs::Place;

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

/// Starts one, and waits until it is ready.
pub async fn start(
    place: &Place,
    name: &str,
    listen: SocketAddr,
    admin: SocketAddr,
    backend: SocketAddr,
    filter: &Filter,
) -> Running {
    let file = place.directory.join(format!("{name}.yaml"));
    fs::write(&file, Config { listen, admin, backend, filter }.render().unwrap()).unwrap();
    let mut program = place.envoy(&file.to_string_lossy(), admin).unwrap();
    name.clone_into(&mut program.name);
    program.log = place.log(name);
    let mut running = program.start().unwrap();
    running.ready(START).await.unwrap();
    running
}

//! What the demo's runner needs to know of a `portcullis.yaml` that the control plane has accepted.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    #[serde(default)]
    pub(super) listen: Listen,
    #[serde(default)]
    pub(super) edge: Edge,
    /// A section, or a word.
    pub(super) mesh: Option<serde_json::Value>,
    pub(super) servers: BTreeMap<String, Server>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Listen {
    pub(super) http: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) ops: SocketAddr,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Edge {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) authz: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub(super) url: String,
}

// === impl File: the documented defaults ===

impl Default for Listen {
    fn default() -> Self {
        Self { http: loopback(8080), grpc: loopback(8081), ops: loopback(8082) }
    }
}

impl Default for Edge {
    fn default() -> Self {
        Self { listen: loopback(10000), admin: loopback(9901), authz: vec![loopback(9191).to_string()] }
    }
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_configuration_leaves_out_has_the_documented_default() {
        let file: File = serde_saphyr::from_str("servers: { a: { url: http://localhost:10000/a } }").unwrap();
        assert_eq!((file.listen.ops.port(), file.edge.admin.port()), (8082, 9901));
        assert_eq!(file.edge.authz, ["127.0.0.1:9191"]);
    }
}

//! What the edge is made of.

use std::net::SocketAddr;
use std::path::PathBuf;

use url::{Origin, Url};

use crate::{HostPort, Limits};

/// Where Debian, Ubuntu and Alpine keep the certificate authorities that the machine trusts: PEM, in one file.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The edge: one Envoy.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Absent: plain HTTP, for loopback only.
    pub tls: Option<Tls>,
    /// Envoy's admin interface: five read-only paths and `/drain_listeners`. Keep it on loopback.
    pub admin: SocketAddr,
    /// The authz instances: gRPC. Never empty.
    pub authz: Vec<HostPort>,
    /// The control plane's OAuth surface: HTTP/1.1.
    pub control_plane: HostPort,
    /// How both are reached; absent: in the clear.
    pub mesh: Option<Mesh>,
    /// Origins of browser-based MCP clients that may call (CORS), as browsers write them: `https://app.example.com`.
    pub allowed_origins: Vec<String>,
    /// PEM file with the authorities that vouch for https upstreams; [`SYSTEM_CA`] as a rule.
    pub trusted_ca: PathBuf,
    /// The public origins. No two share an authority.
    pub virtual_hosts: Vec<VirtualHost>,
    /// How much is let in.
    pub limits: Limits,
}

/// The edge's certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM file with the chain.
    pub certificate: PathBuf,
    /// PEM file.
    pub private_key: PathBuf,
}

/// Mutual TLS towards authz and the control plane.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// PEM file with the authorities that vouch for both.
    pub ca: PathBuf,
    /// PEM file with the chain that Envoy shows.
    pub certificate: PathBuf,
    /// PEM file with its key.
    pub private_key: PathBuf,
    /// The DNS name that every authz instance's certificate has.
    pub authz: String,
    /// The DNS name that the control plane's certificate has.
    pub control_plane: String,
}

/// A public origin, which is an issuer of its own, and the MCP servers there.
#[derive(Clone, Debug)]
pub struct VirtualHost {
    /// As clients know it; http or https.
    pub origin: Origin,
    /// The MCP servers below it. Their paths differ; where one is below another, the longer one counts.
    pub servers: Vec<Server>,
}

/// An MCP server.
#[derive(Clone, Debug)]
pub struct Server {
    /// What authz gets as `context_extensions.server`. Unique in the whole edge.
    pub name: String,
    /// Its public path, such as `/demo/mcp`: segments of letters, digits and `-._~`, without a slash at the end, and
    /// none that the OAuth surface has.
    pub path: String,
    /// Where requests to that path, and below it, go; http or https, without user information, query or fragment.
    pub upstream: Url,
    /// Header fields that authz may set there, beside Authorization and `x-portcullis-*`: names in lower case.
    pub credential_headers: Vec<String>,
}

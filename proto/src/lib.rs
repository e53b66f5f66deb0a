//! What the control plane and authz must agree on, and nothing else: the protobuf, the token format,
//! the sealing of credentials, the revocation log, when what has expired may go, for how long nobody need be heard of,
//! who is who in the mesh, how an MCP server is told who calls, and how a process that holds secrets begins.

pub mod belief;
pub mod hardening;
pub mod identity;
pub mod ids;
pub mod mesh;
pub mod random;
pub mod record;
pub mod revocation;
pub mod seal;
pub mod seldom;
pub mod staleness;
pub mod time;
pub mod token;

mod base64_text;
mod convert;
pub use convert::Malformed;

/// The generated protobuf messages, clients and servers. Used at the edge of a service only.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    unreachable_pub,
    reason = "generated; the .proto files say it"
)]
pub mod v1 {
    tonic::include_proto!("portcullis.v1");
}

//! Envoy's `envoy.service.auth.v3`, as much of it as the request path needs.
//!
//! Envoy's messages have some hundred fields; decoding them into types of their own, and building an answer from
//! such types, costs more than the decision. So the [request](CheckRequest) has the fields that are read, and the
//! [response](CheckResponse) is [written](wire) once, straight into its encoding. Tests hold both against the full
//! messages of the `envoy-types` crate.

pub mod codec;
mod request;
mod response;
mod wire;

pub use request::{
    Address, AttributeContext, CheckRequest, HeaderMap, HeaderValue, HttpRequest, Pair, Peer, Request,
    SocketAddress,
};
pub use response::{CheckResponse, Pairs};

/// The server, as `build.rs` has it generated.
#[expect(unreachable_pub, clippy::pedantic, clippy::default_constructed_unit_structs, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/envoy.service.auth.v3.Authorization.rs"));
}

pub use generated::authorization_server::{Authorization, AuthorizationServer};

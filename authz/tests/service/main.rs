//! The service as a whole, between a client in Envoy's place and a scripted control plane.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should fail")]

mod clock;
mod control_plane;
mod harness;
mod log;
mod tokens;

mod credentials;
mod lifecycle;
mod mesh;
mod outdated;
mod passthrough;
mod request_path;
mod resets;
mod resolve;
mod sync;

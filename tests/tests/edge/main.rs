//! The rendered edge in a real Envoy, attacked from both sides.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what fails here fails the test")]

mod access_log;
mod authz;
mod configuration;
mod cors;
mod limits;
mod mesh;
mod oauth;
mod paths;
mod spoofing;
mod times;
mod tls;
mod trailers;
mod upstream;

//! The rendered edge in a real Envoy, attacked from both sides.

mod authz;
mod configuration;
mod cors;
mod limits;
mod oauth;
mod paths;
mod spoofing;
mod upstream;

//! Everything that reads bytes of strangers, each as a target: a function of any bytes that must neither panic nor let
//! anything through that its rules forbid. What a rule forbids is said here once more, in other words than in the code.
//!
//! `tests/corpus.rs` runs every target on the corpus and on what becomes of it by chance, with every `cargo test`.
//! `libfuzzer/` runs one for as long as one likes, and follows which code is reached (`make fuzz`).
#![allow(clippy::panic, reason = "a finding is a panic")]

mod authorization;
mod clients;
mod configuration;
mod provider;
mod requests;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is its directory in the corpus.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target { name: "token", run: requests::token },
    Target { name: "check_request", run: requests::check_request },
    Target { name: "form", run: requests::form },
    Target { name: "token_request", run: requests::token_request },
    Target { name: "authorization_request", run: authorization::request },
    Target { name: "redirect_uri", run: authorization::redirect_uri },
    Target { name: "registration", run: clients::registration },
    Target { name: "client_document", run: clients::document },
    Target { name: "portcullis_yaml", run: configuration::portcullis },
    Target { name: "authz_yaml", run: configuration::authz },
    Target { name: "provider_tokens", run: provider::tokens },
    Target { name: "provider_claims", run: provider::claims },
];

/// Text, where it is some: what is not UTF-8 is refused before any of these see it.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

//! What reads providers' answers, without a provider. For fuzzing only.

use http::Response;
use portcullis_proto::time::Timestamp;
use secrecy::ExposeSecret;

use super::oidc::fuzzing as oidc;
use super::token_endpoint;

pub use super::oidc::fuzzing::{CLIENT, ISSUER, NONCE};

/// The time at which answers come, in seconds.
pub const NOW: f64 = 1_700_000_000.0;

/// The same.
fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

/// The access token in an answer of the token endpoint, where it is one.
pub fn token_answer(status: u16, body: &[u8]) -> Option<String> {
    let answer = Response::builder().status(status).body(body.to_vec()).ok()?;
    let tokens = token_endpoint::read(&token_endpoint::screen(answer).ok()?, now()).ok()?;
    Some(tokens.access_token.expose_secret().to_owned())
}

/// Reads an ID token's header.
pub fn id_token_header(text: &str) {
    oidc::header(text);
}

/// The user of claims as the provider has signed them, with what userinfo adds.
pub fn claims(claims: &[u8], userinfo: &[u8]) -> Option<String> {
    oidc::claims(claims, userinfo, now())
}

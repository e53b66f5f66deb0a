//! Claims without a signature. For fuzzing only.

use portcullis_proto::time::Timestamp;

use super::id_token::{self, Claims, Expected, Unverified};
use super::user::{User, UserInfo};
use crate::oauth::admission::NO_QUESTIONS;

/// Whose claims they must be.
pub const ISSUER: &str = "https://idp.example.com";
/// For whom.
pub const CLIENT: &str = "portcullis";
/// For which login.
pub const NONCE: &str = "nonce";

pub(in crate::provider) fn header(text: &str) {
    if let Ok(token) = Unverified::parse(text) {
        let _ = (token.kid(), token.algorithm());
    }
}

pub(in crate::provider) fn claims(claims: &[u8], userinfo: &[u8], now: Timestamp) -> Option<String> {
    let claims: Claims = serde_json::from_slice(claims).ok()?;
    let expected = Expected { issuer: ISSUER, client_id: CLIENT, nonce: Some(NONCE) };
    let subject = id_token::check(&claims, &expected, now).ok()?;
    let mut user = User { subject, claims: claims.further };
    if let Ok(info) = serde_json::from_slice::<UserInfo>(userinfo) {
        let _ = user.add(info);
    }
    Some(user.identity(&NO_QUESTIONS).subject.as_str().to_owned())
}

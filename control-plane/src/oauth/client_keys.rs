//! The public keys of clients that authenticate with a signature: `jwks` and `jwks_uri` (RFC 7591 section 2).

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::document_url::{DocumentUrl, DocumentUrlError};
use crate::provider::KeySet;

/// What assertions may be signed with. None of these shares a secret.
pub const ALGORITHMS: [(Algorithm, &str); 4] = [
    (Algorithm::ES256, "ES256"),
    (Algorithm::RS256, "RS256"),
    (Algorithm::PS256, "PS256"),
    (Algorithm::EdDSA, "EdDSA"),
];

/// Most keys of one client: more than any rotation needs.
const MAX_KEYS: usize = 10;
/// Longest that they may be together as JSON, in bytes.
const MAX_BYTES: usize = 4096;
/// Members of a JWK that only a private or a shared key has (RFC 7518 section 6).
const SECRET_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Where a client's public keys are. Only [`KeySource::read`] and [`KeySource::of_jwks`] make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeySource {
    /// The keys themselves: a JWK set (RFC 7517 section 5) with at least one that can be used.
    Set(Value),
    /// Where the set is published; a [`DocumentUrl`].
    Uri(String),
}

/// Why there are no keys. The texts name the member, and quote nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// `private_key_jwt` without keys.
    #[error("private_key_jwt needs jwks or jwks_uri")]
    Missing,
    /// RFC 7591 section 2.
    #[error("jwks and jwks_uri must not both be there")]
    Both,
    /// From somebody whose URLs we do not fetch.
    #[error("jwks_uri is not supported here: use jwks")]
    NoUri,
    /// Not a string, or not one that may be fetched.
    #[error("jwks_uri: {0}")]
    Uri(#[from] DocumentUrlError),
    /// Not a JWK set.
    #[error("jwks is not a JWK set: an object with a list of keys")]
    Syntax,
    /// More than any client needs.
    #[error("jwks has more than {MAX_KEYS} keys or {MAX_BYTES} bytes")]
    TooMany,
    /// What everybody can read now.
    #[error(
        "jwks has a private or symmetric key: it must have public keys only, and that one must be replaced"
    )]
    Private,
    /// Nothing that could verify a signature.
    #[error("jwks has no key for ES256, RS256, PS256 or EdDSA")]
    Unusable,
}

// === impl KeySource ===

impl KeySource {
    /// From client metadata. `uri_allowed` says whether `jwks_uri` may be used.
    pub fn read(metadata: &Map<String, Value>, uri_allowed: bool) -> Result<Self, KeyError> {
        let member = |name| metadata.get(name).filter(|value| !value.is_null());
        match (member("jwks"), member("jwks_uri")) {
            (None, None) => Err(KeyError::Missing),
            (Some(_), Some(_)) => Err(KeyError::Both),
            (Some(jwks), None) => Self::of_jwks(jwks),
            (None, Some(_)) if !uri_allowed => Err(KeyError::NoUri),
            (None, Some(uri)) => {
                let uri = DocumentUrl::parse(uri.as_str().unwrap_or_default())?;
                Ok(Self::Uri(uri.as_str().to_owned()))
            }
        }
    }

    /// A JWK set (RFC 7517 section 5).
    pub fn of_jwks(jwks: &Value) -> Result<Self, KeyError> {
        key_set(jwks)?;
        Ok(Self::Set(jwks.clone()))
    }

    /// A public key in PEM (RFC 7468 section 13): RSA, P-256 or Ed25519.
    pub fn of_pem(pem: &str) -> Result<Self, KeyError> {
        use jsonwebtoken::DecodingKey;
        if pem.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let pem = pem.as_bytes();
        let key = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .map_err(|_| KeyError::Unusable)?;
        let jwk = jsonwebtoken::jwk::Jwk::from_decoding_key(&key, None).map_err(|_| KeyError::Unusable)?;
        let jwk = serde_json::to_value(jwk).map_err(|_| KeyError::Unusable)?;
        Self::of_jwks(&json!({ "keys": [jwk] }))
    }
}

/// The keys of a JWK set that may verify an assertion. At least one.
pub fn key_set(jwks: &Value) -> Result<KeySet, KeyError> {
    let keys = jwks.get("keys").and_then(Value::as_array).ok_or(KeyError::Syntax)?;
    if keys.len() > MAX_KEYS || jwks.to_string().len() > MAX_BYTES {
        return Err(KeyError::TooMany);
    }
    let is_secret = |key: &Value| SECRET_MEMBERS.iter().any(|member| key.get(member).is_some());
    if keys.iter().any(is_secret) {
        return Err(KeyError::Private);
    }
    let set = KeySet::from_documents(keys.clone());
    if ALGORITHMS.iter().any(|(algorithm, _)| set.has(*algorithm)) {
        Ok(set)
    } else {
        Err(KeyError::Unusable)
    }
}

#[cfg(test)]
mod tests;

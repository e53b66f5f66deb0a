//! Proof Key for Code Exchange (RFC 7636), method S256 only.

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `code_challenge`: base64url of a SHA-256, 43 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

/// `code_verifier`: 43 to 128 unreserved characters. A secret of the client's.
pub struct CodeVerifier(String);

/// Why PKCE is refused. The texts name the parameter.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PkceError {
    /// OAuth 2.1 requires PKCE of every client.
    #[error("code_challenge is missing")]
    MissingChallenge,
    /// `plain`, which is also what a missing method means, or an unknown one.
    #[error("code_challenge_method must be S256")]
    Method,
    /// Not the base64url of a SHA-256.
    #[error("code_challenge is not 43 characters of base64url")]
    Challenge,
    /// Not of the form that the RFC gives.
    #[error("code_verifier is not 43 to 128 unreserved characters")]
    Verifier,
}

// === impl CodeChallenge ===

impl CodeChallenge {
    /// From the authorization request's parameters.
    pub fn from_params(challenge: Option<&str>, method: Option<&str>) -> Result<Self, PkceError> {
        let challenge = challenge.ok_or(PkceError::MissingChallenge)?;
        if method != Some("S256") {
            return Err(PkceError::Method);
        }
        match BASE64_URL_SAFE_NO_PAD.decode(challenge) {
            Ok(hash) if hash.len() == digest::SHA256_OUTPUT_LEN => Ok(Self(challenge.to_owned())),
            _ => Err(PkceError::Challenge),
        }
    }

    /// Of a verifier of our own.
    pub fn of(verifier: &str) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes())))
    }

    /// Whether the verifier hashes to this challenge.
    pub fn is_met_by(&self, verifier: &CodeVerifier) -> bool {
        let made = Self::of(&verifier.0);
        constant_time::verify_slices_are_equal(made.0.as_bytes(), self.0.as_bytes()).is_ok()
    }

    /// The parameter's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl CodeVerifier ===

impl CodeVerifier {
    /// From the token request's parameter.
    pub fn parse(text: &str) -> Result<Self, PkceError> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PkceError::Verifier)
        }
    }
}

impl std::fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeVerifier([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc() {
        let challenge = CodeChallenge::from_params(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.is_met_by(&CodeVerifier::parse(VERIFIER).unwrap()));
        assert!(!challenge.is_met_by(&CodeVerifier::parse(CHALLENGE).unwrap()));
    }

    #[test]
    fn t04_pkce_missing_plain_or_unknown_is_refused() {
        let refused = |challenge, method| CodeChallenge::from_params(challenge, method).unwrap_err();
        assert_eq!(refused(None, Some("S256")), PkceError::MissingChallenge);
        assert_eq!(refused(Some(CHALLENGE), None), PkceError::Method);
        assert_eq!(refused(Some(CHALLENGE), Some("plain")), PkceError::Method);
        assert_eq!(refused(Some(CHALLENGE), Some("s256")), PkceError::Method);
        assert_eq!(refused(Some("short"), Some("S256")), PkceError::Challenge);
        assert_eq!(refused(Some(""), Some("S256")), PkceError::Challenge);
    }

    #[test]
    fn verifiers_have_their_form() {
        assert!(CodeVerifier::parse(&"a".repeat(128)).is_ok());
        for text in ["a".repeat(42), "a".repeat(129), format!("{}é", "a".repeat(43)), " ".repeat(43)] {
            assert_eq!(CodeVerifier::parse(&text).unwrap_err(), PkceError::Verifier);
        }
    }
}

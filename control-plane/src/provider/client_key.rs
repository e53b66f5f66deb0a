//! `private_key_jwt`: the app proves that it is itself with a signature instead of a secret (RFC 7523 section 2.2,
//! OpenID Connect Core section 9). The provider knows the certificate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use portcullis_proto::random::{Random, base62};
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use thiserror::Error;
use url::Url;

use super::ProviderError;

/// `client_assertion_type` (RFC 7523 section 2.2).
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good for. Each request has one of its own.
const LIFE: Duration = Duration::from_mins(5);

/// Length of `jti`, in characters of base62: more than 128 bits.
const JTI: usize = 22;

/// A private key, and which certificate it belongs to.
#[derive(Clone)]
pub struct ClientKey {
    private: Arc<EncodingKey>,
    /// `x5t#S256` (RFC 7515 section 4.1.8).
    thumbprint: String,
}

/// Why there is no key. No text of it quotes a file.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ClientKeyError {
    /// No certificate.
    #[error("the certificate must be PEM, as in `-----BEGIN CERTIFICATE-----`")]
    Certificate,
    /// No private key.
    #[error("the private key must be an unencrypted RSA key in PEM, as in `-----BEGIN PRIVATE KEY-----`")]
    PrivateKey,
    /// Two that do not belong together.
    #[error("the certificate is not the private key's")]
    Mismatch,
}

/// The claims of an assertion (RFC 7523 section 3).
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    nbf: u64,
    exp: u64,
}

// === impl ClientKey ===

impl ClientKey {
    /// From the text of two PEM files. Of a chain the first certificate counts.
    pub fn from_pem(certificate: &str, private_key: &SecretString) -> Result<Self, ClientKeyError> {
        let certificate = pem(certificate, "CERTIFICATE").ok_or(ClientKeyError::Certificate)?;
        let text = private_key.expose_secret();
        let pair = match (pem(text, "PRIVATE KEY"), pem(text, "RSA PRIVATE KEY")) {
            (Some(pkcs8), _) => RsaKeyPair::from_pkcs8(&pkcs8),
            (None, Some(pkcs1)) => RsaKeyPair::from_der(&pkcs1),
            (None, None) => return Err(ClientKeyError::PrivateKey),
        };
        let pair = pair.map_err(|_| ClientKeyError::PrivateKey)?;
        let private = EncodingKey::from_rsa_pem(text.as_bytes()).map_err(|_| ClientKeyError::PrivateKey)?;

        // A certificate has its public key in it (RFC 5280 section 4.1), in just this encoding.
        let public: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(|_| ClientKeyError::PrivateKey)?;
        let public = public.as_ref();
        if !certificate.windows(public.len()).any(|part| part == public) {
            return Err(ClientKeyError::Mismatch);
        }
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
        Ok(Self { private: Arc::new(private), thumbprint })
    }

    /// What this app shows the token endpoint, once.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        token_endpoint: &Url,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<String, ProviderError> {
        let header = Header { x5t_s256: Some(self.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        let claims = Assertion {
            iss: client_id,
            sub: client_id,
            aud: token_endpoint.as_str(),
            jti: base62(random, JTI),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: now.after(LIFE).as_secs(),
        };
        jsonwebtoken::encode(&header, &claims, &self.private)
            .map_err(|_| ProviderError::Malformed("the private key cannot sign".into()))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

/// What the first block with this label says (RFC 7468).
fn pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (block, _) = rest.split_once(&format!("-----END {label}-----"))?;
    BASE64_STANDARD.decode(block.split_ascii_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests;

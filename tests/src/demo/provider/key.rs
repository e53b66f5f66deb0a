//! The key that ID tokens are signed with. A new one each start: nobody keeps a demo's ID token.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use thiserror::Error;

const KEY_ID: &str = "demo";

pub(super) struct SigningKey {
    private: EncodingKey,
    public: Jwk,
}

/// Why there is no signing key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The cryptography library refused.
    #[error("cannot make a signing key")]
    Generate(#[from] Unspecified),
    /// Its public half cannot be had.
    #[error("cannot publish the signing key")]
    Publish(#[from] jsonwebtoken::errors::Error),
}

// === impl SigningKey ===

impl SigningKey {
    pub(super) fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let private = EncodingKey::from_ec_der(pair.to_pkcs8v1()?.as_ref());
        let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256)?;
        public.common.key_id = Some(KEY_ID.to_owned());
        Ok(Self { private, public })
    }

    pub(super) fn sign(&self, claims: &impl Serialize) -> jsonwebtoken::errors::Result<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(KEY_ID.to_owned());
        jsonwebtoken::encode(&header, claims, &self.private)
    }

    pub(super) fn set(&self) -> JwkSet {
        JwkSet { keys: vec![self.public.clone()] }
    }
}

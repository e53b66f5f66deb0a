//! The keys that a provider signs ID tokens with.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde_json::Value;

/// A key that signs ID tokens.
pub(crate) struct SigningKey {
    pub(crate) id: &'static str,
    algorithm: Algorithm,
    private: EncodingKey,
}

impl SigningKey {
    pub(crate) fn es256(id: &'static str) -> Self {
        Self { id, algorithm: Algorithm::ES256, private: ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING) }
    }

    pub(crate) fn es384(id: &'static str) -> Self {
        Self { id, algorithm: Algorithm::ES384, private: ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING) }
    }

    pub(crate) fn ed25519(id: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let private = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { id, algorithm: Algorithm::EdDSA, private }
    }

    pub(crate) fn rsa(id: &'static str, algorithm: Algorithm) -> Self {
        Self { id, algorithm, private: EncodingKey::from_rsa_pem(rsa_key().as_bytes()).unwrap() }
    }

    /// The public key, as key sets have it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.private, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = self.id.into();
        jwk
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.into()), ..Header::new(self.algorithm) };
        self.sign_with(&header, claims)
    }

    pub(crate) fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.private).unwrap()
    }
}

/// A new private key, in PEM.
pub(crate) fn rsa_key() -> String {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    pem("PRIVATE KEY", der.as_ref())
}

/// A certificate, as far as anybody looks into it here, and its private key.
pub(crate) fn certificate() -> (String, SecretString) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let certificate = [b"to be signed: ", public.as_ref(), b"; signature"].concat();
    (pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", private.as_ref()).into())
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EncodingKey {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
}

/// A JWT with any header, and whatever is given as its signature.
pub(crate) fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let [header, claims] = [header, claims].map(|part| encode(part.to_string().as_bytes()));
    format!("{header}.{claims}.{}", encode(signature))
}

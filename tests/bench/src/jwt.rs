//! Tokens that Envoy verifies by itself, and the keys that it verifies them with.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Enough that few are verified twice in a row. Envoy remembers none: each use is a verification.
const TOKENS: u64 = 2_000;

/// Tokens and the set of keys (RFC 7517) that they are signed with.
#[derive(Debug)]
pub struct Signed {
    /// One JSON text.
    pub jwks: String,
    /// Compact JWS (RFC 7515), each with another `jti`.
    pub tokens: Vec<String>,
}

/// Signed with RSA, 2048 bits.
pub fn rs256() -> Signed {
    let pair = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = signature::KeyPair::public_key(&pair);
    let modulus = encoded(public.modulus().big_endian_without_leading_zero());
    let exponent = encoded(public.exponent().big_endian_without_leading_zero());
    let key = json!({ "kty": "RSA", "alg": "RS256", "kid": "bench", "n": modulus, "e": exponent });
    signed("RS256", &key, |input| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).unwrap();
        signature
    })
}

/// Signed with ECDSA on P-256.
pub fn es256() -> Signed {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
    let key = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "bench", "x": x, "y": y });
    signed("ES256", &key, |input| pair.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec())
}

fn signed(algorithm: &str, key: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> Signed {
    let header = encoded(json!({ "alg": algorithm, "kid": "bench" }).to_string());
    let token = |number: u64| {
        let claims = json!({
            "iss": "bench",
            "sub": format!("user-{number}"),
            "email": format!("user-{number}@example.com"),
            "aud": "http://localhost:10000/demo/mcp",
            "scope": "openid email",
            "exp": 4_000_000_000_u64,
            "jti": number.to_string(),
        });
        let input = format!("{header}.{}", encoded(claims.to_string()));
        let signature = encoded(sign(input.as_bytes()));
        format!("{input}.{signature}")
    };
    Signed { jwks: json!({ "keys": [key] }).to_string(), tokens: (0..TOKENS).map(token).collect() }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

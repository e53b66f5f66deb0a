use std::collections::HashSet;

use jsonwebtoken::{DecodingKey, Validation};
use portcullis_proto::random::SystemRandom;
use serde_json::{Value, json};

use super::*;
use crate::provider::testing::{MARK, NOW, certificate, rsa_key};

fn token_endpoint() -> Url {
    Url::parse("https://login.microsoftonline.com/common/oauth2/v2.0/token").unwrap()
}

#[test]
fn an_assertion_is_what_entra_documents() {
    let (certificate, private_key) = certificate();
    let key = ClientKey::from_pem(&certificate, &private_key).unwrap();
    let assertion = || key.assertion("portcullis", &token_endpoint(), NOW, &SystemRandom).unwrap();
    let (one, other) = (assertion(), assertion());

    let header: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(one.split('.').next().unwrap()).unwrap())
            .unwrap();
    let der = pem(&certificate, "CERTIFICATE").unwrap();
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
    assert_eq!(header, json!({ "typ": "JWT", "alg": "PS256", "x5t#S256": thumbprint }));

    let public = DecodingKey::from_rsa_der(&public_key(&private_key));
    let mut validation = Validation::new(Algorithm::PS256);
    validation.validate_exp = false;
    validation.required_spec_claims = HashSet::new();
    validation.set_audience(&[token_endpoint().as_str()]);
    let claims = |token: &str| jsonwebtoken::decode::<Value>(token, &public, &validation).unwrap().claims;
    let (one, other) = (claims(&one), claims(&other));
    assert_eq!((&one["iss"], &one["sub"]), (&json!("portcullis"), &json!("portcullis")));
    assert_eq!((&one["nbf"], &one["exp"]), (&json!(NOW.as_secs()), &json!(NOW.as_secs() + 300)));
    assert_ne!(one["jti"], other["jti"]);
}

/// The private key's other half, as PKCS#1.
fn public_key(private_key: &SecretString) -> Vec<u8> {
    let der = pem(private_key.expose_secret(), "PRIVATE KEY").unwrap();
    RsaKeyPair::from_pkcs8(&der).unwrap().public_key().as_ref().to_vec()
}

#[test]
fn files_that_are_not_what_they_must_be() {
    let (certificate, private_key) = certificate();
    let of = |certificate: &str, private_key: &str| {
        ClientKey::from_pem(certificate, &SecretString::from(private_key)).map(|_| ()).unwrap_err()
    };
    let key = private_key.expose_secret();
    assert_eq!(of("", key), ClientKeyError::Certificate);
    assert_eq!(of(key, key), ClientKeyError::Certificate);
    assert_eq!(of(&certificate, ""), ClientKeyError::PrivateKey);
    assert_eq!(of(&certificate, &certificate), ClientKeyError::PrivateKey);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(of(&certificate, &encrypted), ClientKeyError::PrivateKey);
    let garbled = key.replace("MII", "AAA");
    assert_eq!(of(&certificate, &garbled), ClientKeyError::PrivateKey);
    assert_eq!(of(&certificate, &rsa_key()), ClientKeyError::Mismatch);
}

#[test]
fn t18_no_debug_output_shows_the_key() {
    let (certificate, private_key) = certificate();
    let key = ClientKey::from_pem(&certificate, &private_key).unwrap();
    let shown = format!("{key:?}");
    assert!(
        shown.contains(&key.thumbprint) && !shown.contains(MARK) && !shown.contains("PRIVATE"),
        "{shown}"
    );
    let body = private_key.expose_secret().lines().nth(1).unwrap();
    assert!(!shown.contains(body), "{shown}");
}

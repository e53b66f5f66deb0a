use super::*;
use crate::provider::testing::SigningKey;

fn read(metadata: &Value, uri_allowed: bool) -> Result<KeySource, KeyError> {
    KeySource::read(metadata.as_object().unwrap(), uri_allowed)
}

fn jwks(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

#[test]
fn keys_are_there_or_somewhere_else_and_not_both() {
    let (set, uri) = (jwks(&[SigningKey::es256("k").jwk()]), "https://app.example/jwks.json");
    assert_eq!(read(&json!({ "jwks": set }), false), Ok(KeySource::Set(set.clone())));
    assert_eq!(read(&json!({ "jwks_uri": uri }), true), Ok(KeySource::Uri(uri.into())));
    assert_eq!(read(&json!({ "jwks_uri": uri, "jwks": null }), true), Ok(KeySource::Uri(uri.into())));
    assert_eq!(read(&json!({}), true), Err(KeyError::Missing));
    assert_eq!(read(&json!({ "jwks": set, "jwks_uri": uri }), true), Err(KeyError::Both));
    assert_eq!(read(&json!({ "jwks_uri": uri }), false), Err(KeyError::NoUri));
}

#[test]
fn the_uri_is_judged_like_a_documents() {
    for (uri, expected) in [
        (json!("http://app.example/jwks"), DocumentUrlError::Scheme),
        (json!("https://127.0.0.1/jwks"), DocumentUrlError::Host),
        (json!("https://app.example/a/../jwks"), DocumentUrlError::NotNormal),
        (json!(7), DocumentUrlError::Scheme),
    ] {
        assert_eq!(read(&json!({ "jwks_uri": uri }), true), Err(KeyError::Uri(expected)), "{uri}");
    }
}

#[test]
fn every_allowed_algorithm_has_its_keys_and_others_are_no_use() {
    for key in [
        SigningKey::es256("k"),
        SigningKey::ed25519("k"),
        SigningKey::rsa("k", Algorithm::RS256),
        SigningKey::rsa("k", Algorithm::PS256),
    ] {
        assert!(KeySource::of_jwks(&jwks(&[key.jwk()])).is_ok());
    }
    let mut for_encryption = SigningKey::es256("k").jwk();
    for_encryption["use"] = "enc".into();
    let unheard_of = json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" });
    for key in [
        SigningKey::es384("k").jwk(),
        SigningKey::rsa("k", Algorithm::RS512).jwk(),
        for_encryption,
        unheard_of,
    ] {
        assert_eq!(KeySource::of_jwks(&jwks(std::slice::from_ref(&key))), Err(KeyError::Unusable), "{key}");
        // It does not spoil a good one.
        assert!(KeySource::of_jwks(&jwks(&[key, SigningKey::es256("good").jwk()])).is_ok());
    }
}

#[test]
fn private_and_shared_keys_are_refused() {
    let mut private = SigningKey::es256("k").jwk();
    private["d"] = "c2VjcmV0".into();
    let shared = json!({ "kty": "oct", "alg": "HS256", "k": "c2VjcmV0" });
    for key in [private, shared] {
        assert_eq!(KeySource::of_jwks(&jwks(&[SigningKey::es256("k").jwk(), key])), Err(KeyError::Private));
    }
}

#[test]
fn what_is_no_set_or_too_large_a_one_is_refused() {
    for wrong in [json!([]), json!("keys"), json!({}), json!({ "keys": {} })] {
        assert_eq!(KeySource::of_jwks(&wrong), Err(KeyError::Syntax), "{wrong}");
    }
    assert_eq!(KeySource::of_jwks(&jwks(&[])), Err(KeyError::Unusable));
    let key = SigningKey::es256("k").jwk();
    assert!(KeySource::of_jwks(&jwks(&vec![key.clone(); MAX_KEYS])).is_ok());
    assert_eq!(KeySource::of_jwks(&jwks(&vec![key.clone(); MAX_KEYS + 1])), Err(KeyError::TooMany));
    let mut long = key;
    long["x5c"] = json!(["A".repeat(MAX_BYTES)]);
    assert_eq!(KeySource::of_jwks(&jwks(&[long])), Err(KeyError::TooMany));
}

#[test]
fn a_public_key_in_pem_is_a_set_of_one() {
    // RFC 8410 section 10.1.
    let ed = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let Ok(KeySource::Set(set)) = KeySource::of_pem(ed) else { panic!("{:?}", KeySource::of_pem(ed)) };
    assert_eq!(set["keys"][0]["kty"], "OKP");
    assert_eq!(set["keys"][0]["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    for wrong in [
        "",
        "no PEM",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        &crate::provider::testing::rsa_key(),
    ] {
        assert!(KeySource::of_pem(wrong).is_err());
    }
}

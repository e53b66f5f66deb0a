use jsonwebtoken::EncodingKey;
use portcullis_proto::ids::Subject;
use serde_json::json;

use super::*;
use crate::provider::oidc::jwks::KeySet;
use crate::provider::testing::{CLIENT_ID, NONCE, NOW, SigningKey, error_of, forged};

const EXPECTED: Expected<'_> =
    Expected { issuer: "https://idp.example", client_id: CLIENT_ID, nonce: Some(NONCE) };

fn claims() -> Value {
    json!({
        "iss": "https://idp.example",
        "sub": "248289761001",
        "aud": CLIENT_ID,
        "exp": NOW.as_secs() + 300,
        "iat": NOW.as_secs(),
        "nonce": NONCE,
        "email": "jane@example.com",
    })
}

/// What is found of the usual claims with these members changed; `null` removes one.
fn checked(changes: &Value) -> Result<Subject, ProviderError> {
    checked_by(&EXPECTED, changes)
}

fn checked_by(expected: &Expected<'_>, changes: &Value) -> Result<Subject, ProviderError> {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    let claims = serde_json::from_value(claims).map_err(|_| refused("a claim is missing"))?;
    check(&claims, expected, NOW)
}

#[track_caller]
fn assert_refused(changes: &Value, why: &str) {
    assert_eq!(error_of(checked(changes)), refused(why), "{changes}");
}

#[test]
fn claims_that_prove_the_login_name_the_user() {
    let jane = Subject::new("248289761001");
    assert_eq!(checked(&json!({})), Ok(jane.clone()));
    assert_eq!(checked(&json!({ "aud": [CLIENT_ID] })), Ok(jane.clone()));
    assert_eq!(checked(&json!({ "azp": CLIENT_ID })), Ok(jane.clone()));
    assert_eq!(checked(&json!({ "aud": ["api", CLIENT_ID], "azp": CLIENT_ID })), Ok(jane));
}

#[test]
fn another_issuer_is_refused_to_the_letter() {
    for iss in ["https://idp.example/", "https://IDP.example", "https://evil.example", ""] {
        assert_refused(&json!({ "iss": iss }), "iss is another's");
    }
    assert_refused(&json!({ "iss": null }), "a claim is missing");
    assert_refused(&json!({ "iss": ["https://idp.example"] }), "a claim is missing");
}

#[test]
fn another_audience_is_refused() {
    assert_refused(&json!({ "aud": "another" }), "aud is another's");
    assert_refused(&json!({ "aud": [] }), "aud is another's");
    assert_refused(&json!({ "aud": ["another", "third"], "azp": CLIENT_ID }), "aud is another's");
    assert_refused(&json!({ "aud": null }), "a claim is missing");
}

#[test]
fn whoever_asked_for_the_token_is_us() {
    assert_refused(&json!({ "azp": "another" }), "azp is another's");
    assert_refused(&json!({ "aud": ["another", CLIENT_ID], "azp": "another" }), "azp is another's");
    let why = "it has several audiences and does not say which of them asked";
    assert_refused(&json!({ "aud": ["another", CLIENT_ID] }), why);
}

#[test]
fn time_has_a_minute_of_leeway() {
    let now = NOW.as_secs();
    for fine in [
        json!({ "exp": now - 59 }),
        json!({ "exp": now.to_string().parse::<f64>().unwrap() + 0.5 }),
        json!({ "iat": now + 60 }),
        json!({ "nbf": now + 60 }),
    ] {
        assert!(checked(&fine).is_ok(), "{fine}");
    }
    assert_refused(&json!({ "exp": now - 60 }), "it has expired");
    assert_refused(&json!({ "exp": 0 }), "it has expired");
    assert_refused(&json!({ "exp": -1 }), "it has expired");
    assert_refused(&json!({ "iat": now + 61 }), "it is from the future");
    assert_refused(&json!({ "nbf": now + 61 }), "it is from the future");
    assert_refused(&json!({ "exp": null }), "a claim is missing");
    assert_refused(&json!({ "iat": null }), "a claim is missing");
    assert_refused(&json!({ "exp": (now + 300).to_string() }), "a claim is missing");
}

#[test]
fn a_token_of_another_login_is_refused() {
    for nonce in [json!("n-another"), json!(""), json!(null), json!(format!("{NONCE}x"))] {
        assert_refused(&json!({ "nonce": nonce }), "nonce is not this login's");
    }
}

#[test]
fn the_token_of_a_refresh_need_have_no_nonce_and_must_be_right_otherwise() {
    let expected = Expected { nonce: None, ..EXPECTED };
    for nonce in [json!(null), json!(NONCE)] {
        checked_by(&expected, &json!({ "nonce": nonce })).unwrap();
    }
    for (changes, why) in [
        (json!({ "iss": "https://evil.example" }), "iss is another's"),
        (json!({ "aud": "another" }), "aud is another's"),
        (json!({ "azp": "another" }), "azp is another's"),
        (json!({ "exp": NOW.as_secs() - 60 }), "it has expired"),
    ] {
        assert_eq!(error_of(checked_by(&expected, &changes)), refused(why));
    }
}

#[test]
fn subjects_have_their_form() {
    for sub in ["", "a\r\nb", "jané", &"a".repeat(256)] {
        assert_refused(&json!({ "sub": sub }), "sub is not 1 to 255 printable ASCII characters");
    }
    assert_refused(&json!({ "sub": 1 }), "a claim is missing");
}

/// Does what the provider does with a token and its key set.
fn verified(token: &str, keys: &[Value]) -> Result<Claims, ProviderError> {
    let keys = KeySet::from_documents(keys.to_vec());
    let token = Unverified::parse(token)?;
    let key = keys.find(token.kid(), token.algorithm()).ok_or_else(|| refused("no key"))?;
    token.verify(key)
}

#[test]
fn every_allowed_algorithm_verifies() {
    let keys = [
        SigningKey::es256("a"),
        SigningKey::es384("b"),
        SigningKey::ed25519("c"),
        SigningKey::rsa("d", Algorithm::RS256),
        SigningKey::rsa("e", Algorithm::PS512),
    ];
    let set: Vec<_> = keys.iter().map(SigningKey::jwk).collect();
    for key in &keys {
        assert_eq!(verified(&key.sign(&claims()), &set).map(|claims| claims.sub).unwrap(), "248289761001");
    }
}

#[test]
fn tokens_without_a_signature_are_refused() {
    let key = SigningKey::es256("a");
    for alg in ["none", "None", "NONE", ""] {
        let token = forged(&json!({ "alg": alg, "kid": "a" }), &claims(), b"");
        let why = "it is no signed JWT, or its algorithm is not allowed";
        assert_eq!(error_of(verified(&token, &[key.jwk()])), refused(why));
    }
    let signed = key.sign(&claims());
    let (signing_input, _) = signed.rsplit_once('.').unwrap();
    let why = "its signature is wrong, or a claim is missing";
    for token in [format!("{signing_input}."), format!("{signing_input}.AAAA")] {
        assert_eq!(error_of(verified(&token, &[key.jwk()])), refused(why));
    }
    for garbage in ["", ".", "..", "a.b", "a.b.c", "s3cr3t", signing_input, &format!("{signed}.x.y")] {
        error_of(verified(garbage, &[key.jwk()]));
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let key = SigningKey::es256("a");
    let jwk = key.jwk();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("a".into());
    for secret in [jwk.to_string(), jwk["x"].as_str().unwrap().to_owned()] {
        let secret = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
        assert_eq!(
            error_of(verified(&token, std::slice::from_ref(&jwk))),
            refused("its algorithm is not allowed")
        );
    }
}

#[test]
fn a_symmetric_key_in_the_key_set_signs_nothing() {
    let set = [json!({ "kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0" })];
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("a".into());
    let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(b"secret")).unwrap();
    assert_eq!(error_of(verified(&token, &set)), refused("its algorithm is not allowed"));
    assert!(KeySet::from_documents(set.to_vec()).find(Some("a"), Algorithm::HS256).is_none());
}

#[test]
fn the_key_says_which_algorithm_it_is_for() {
    let (ec, rsa) = (SigningKey::es256("a"), SigningKey::rsa("a", Algorithm::RS256));
    // Signed by RSA, with the name of an elliptic key; and the other way round.
    assert_eq!(error_of(verified(&rsa.sign(&claims()), &[ec.jwk()])), refused("no key"));
    assert_eq!(error_of(verified(&ec.sign(&claims()), &[rsa.jwk()])), refused("no key"));
    // The wrong curve.
    assert_eq!(error_of(verified(&ec.sign(&claims()), &[SigningKey::es384("a").jwk()])), refused("no key"));
    // The right type, but another algorithm than the key's own.
    let header = Header { kid: Some("a".into()), ..Header::new(Algorithm::PS256) };
    let token = rsa.sign_with(&header, &claims());
    assert_eq!(error_of(verified(&token, &[rsa.jwk()])), refused("no key"));
}

#[test]
fn another_key_with_the_same_name_does_not_verify() {
    let (theirs, attackers) = (SigningKey::es256("a"), SigningKey::es256("a"));
    let why = "its signature is wrong, or a claim is missing";
    assert_eq!(error_of(verified(&attackers.sign(&claims()), &[theirs.jwk()])), refused(why));
    // A key in the token's own header counts for nothing.
    let jwk = serde_json::from_value(attackers.jwk()).unwrap();
    let header = Header { kid: Some("a".into()), jwk: Some(jwk), ..Header::new(Algorithm::ES256) };
    let token = attackers.sign_with(&header, &claims());
    assert_eq!(error_of(verified(&token, &[theirs.jwk()])), refused(why));
}

#[test]
fn a_token_without_kid_has_the_only_key_that_fits() {
    let (key, second) = (SigningKey::es256("a"), SigningKey::es256("b"));
    let rsa = SigningKey::rsa("c", Algorithm::RS256);
    let token = key.sign_with(&Header::new(Algorithm::ES256), &claims());
    assert!(verified(&token, &[rsa.jwk(), key.jwk()]).is_ok());
    assert_eq!(error_of(verified(&token, &[key.jwk(), second.jwk()])), refused("no key"));
}

#[test]
fn critical_extensions_are_refused() {
    let key = SigningKey::es256("a");
    let header =
        Header { kid: Some("a".into()), crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::ES256) };
    let token = key.sign_with(&header, &claims());
    assert_eq!(error_of(verified(&token, &[key.jwk()])), refused("its header has critical extensions"));
}

#[test]
fn keys_for_other_uses_and_of_unknown_kinds_are_left_out() {
    let key = SigningKey::es256("a");
    let with = |member: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[member] = value;
        verified(&key.sign(&claims()), &[jwk])
    };
    assert!(with("use", json!("sig")).is_ok());
    assert!(with("key_ops", json!(["verify"])).is_ok());
    assert_eq!(error_of(with("use", json!("enc"))), refused("no key"));
    assert_eq!(error_of(with("key_ops", json!(["encrypt"]))), refused("no key"));
    assert_eq!(error_of(with("alg", json!("RSA-OAEP"))), refused("no key"));

    let odd = [
        json!({ "kty": "AKP", "kid": "x", "pub": "AA" }),
        json!({ "kty": "EC", "crv": "secp256k1", "kid": "y", "x": "AA", "y": "AA" }),
        json!("no key at all"),
        key.jwk(),
    ];
    assert!(verified(&key.sign(&claims()), &odd).is_ok());
}

use jsonwebtoken::Header;
use serde_json::{Value, json};

use super::*;
use crate::provider::testing::{SigningKey, forged};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const CLIENT: &str = "https://app.example/client.json";

fn audiences() -> [String; 2] {
    ["https://mcp.example".into(), "https://mcp.example/token".into()]
}

fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": "https://mcp.example",
        "exp": NOW.as_secs() + 60,
        "iat": NOW.as_secs(),
        "jti": "1",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn keys(keys: &[&SigningKey]) -> KeySet {
    KeySet::from_documents(keys.iter().map(|key| key.jwk()).collect())
}

fn checked(changes: &Value) -> Result<SingleUse, AssertionError> {
    let claims: Claims = serde_json::from_value(claims(changes)).unwrap();
    check(&claims, &ClientId::new(CLIENT), &audiences(), NOW)
}

fn form(pairs: &[(&str, &str)]) -> Params {
    Params::parse(&url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()).unwrap()
}

#[test]
fn what_is_this_clients_for_us_and_for_now_is_good() {
    assert!(checked(&json!({})).is_ok());
    for aud in [json!("https://mcp.example/token"), json!(["https://mcp.example"]), json!(audiences())] {
        assert!(checked(&json!({ "aud": aud })).is_ok(), "{aud}");
    }
    for changes in [
        json!({ "exp": NOW.as_secs() + 300 }),
        json!({ "exp": NOW.as_secs() - 29 }),
        json!({ "iat": null }),
        json!({ "iat": NOW.as_secs() + 29, "nbf": NOW.as_secs() + 29 }),
        json!({ "jti": "j".repeat(255) }),
    ] {
        assert!(checked(&changes).is_ok(), "{changes}");
    }
}

#[test]
fn each_claim_that_is_wrong_is_named() {
    use AssertionError as E;
    for (changes, expected) in [
        (json!({ "iss": "https://other.example/c" }), E::Client),
        (json!({ "sub": "https://other.example/c" }), E::Client),
        (json!({ "aud": "https://other.example" }), E::Audience),
        (json!({ "aud": "https://mcp.example/" }), E::Audience),
        (json!({ "aud": [] }), E::Audience),
        (json!({ "aud": ["https://mcp.example", "https://other.example"] }), E::Audience),
        (json!({ "exp": NOW.as_secs() - 30 }), E::Expired),
        (json!({ "exp": -1 }), E::Expired),
        (json!({ "exp": NOW.as_secs() + 331 }), E::TooLong),
        (json!({ "exp": 1e300 }), E::TooLong),
        (json!({ "iat": NOW.as_secs() + 31 }), E::NotYet),
        (json!({ "nbf": NOW.as_secs() + 31 }), E::NotYet),
        (json!({ "jti": "" }), E::Jti),
        (json!({ "jti": "j".repeat(256) }), E::Jti),
    ] {
        assert_eq!(checked(&changes), Err(expected), "{changes}");
    }
}

#[test]
fn a_use_is_remembered_for_as_long_as_it_could_be_repeated() {
    let used = checked(&json!({ "exp": NOW.as_secs() + 330 })).unwrap();
    let claims: Claims = serde_json::from_value(claims(&json!({ "exp": NOW.as_secs() + 330 }))).unwrap();
    let again = |now| check(&claims, &ClientId::new(CLIENT), &audiences(), now);
    let second = Duration::from_secs(1);
    assert!(again(used.until.before(second)).is_ok());
    assert_eq!(again(used.until), Err(AssertionError::Expired));
}

#[test]
fn no_two_uses_are_taken_for_one_another() {
    let of = |client: &str, jti| single_use(&ClientId::new(client), jti).unwrap();
    assert_eq!(of("a", "bc"), of("a", "bc"));
    assert_ne!(of("a", "bc"), of("ab", "c"));
    assert_ne!(of("a", "b"), of("a", "c"));
}

#[test]
fn every_allowed_algorithm_is_verified_with_its_key_and_no_other() {
    let es256 = SigningKey::es256("es");
    let all = [
        SigningKey::ed25519("ed"),
        SigningKey::rsa("rs", Algorithm::RS256),
        SigningKey::rsa("ps", Algorithm::PS256),
    ];
    for key in all.iter().chain([&es256]) {
        let (assertion, client) = Unverified::parse(&key.sign(&claims(&json!({})))).unwrap();
        assert_eq!(client.as_str(), CLIENT);
        assert!(assertion.verify(&keys(&[key])).is_ok());
        assert!(assertion.is_known_to(&keys(&[key])));
    }
    let (assertion, _) = Unverified::parse(&es256.sign(&claims(&json!({})))).unwrap();
    assert!(!assertion.is_known_to(&keys(&[&all[0]])));
    assert_eq!(assertion.verify(&keys(&[&all[0]])).unwrap_err(), AssertionError::Key);
    assert_eq!(assertion.verify(&keys(&[&SigningKey::es256("es")])).unwrap_err(), AssertionError::Signature);
}

#[test]
fn algorithms_that_share_a_secret_or_none_are_refused() {
    let es384 = SigningKey::es384("k").sign(&claims(&json!({})));
    let rs512 = SigningKey::rsa("k", Algorithm::RS512).sign(&claims(&json!({})));
    let hs256 = forged(&json!({ "alg": "HS256" }), &claims(&json!({})), b"signature");
    let none = forged(&json!({ "alg": "none" }), &claims(&json!({})), b"");
    let no_subject = SigningKey::es256("k").sign(&claims(&json!({ "sub": null })));
    let long = SigningKey::es256("k").sign(&claims(&json!({ "jti": "j".repeat(MAX_LEN) })));
    for text in [es384, rs512, hs256, none, no_subject, long, "a.b.c".into(), String::new()] {
        assert_eq!(Unverified::parse(&text).map(|_| ()).unwrap_err(), AssertionError::Syntax, "{text}");
    }
}

#[test]
fn critical_extensions_are_not_understood() {
    let key = SigningKey::es256("k");
    let header = Header { crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::ES256) };
    let text = key.sign_with(&header, &claims(&json!({})));
    assert_eq!(Unverified::parse(&text).map(|_| ()).unwrap_err(), AssertionError::Syntax);
}

#[test]
fn a_claim_that_is_missing_proves_nothing() {
    let key = SigningKey::es256("k");
    for claim in ["iss", "aud", "exp", "jti"] {
        let (assertion, _) = Unverified::parse(&key.sign(&claims(&json!({ claim: null })))).unwrap();
        assert_eq!(assertion.verify(&keys(&[&key])).unwrap_err(), AssertionError::Signature, "{claim}");
    }
}

#[test]
fn a_request_authenticates_in_one_way() {
    let text = SigningKey::es256("k").sign(&claims(&json!({})));
    let good = [("client_assertion_type", TYPE), ("client_assertion", text.as_str())];
    let of = |header, more: &[(&str, &str)]| credentials(header, &form(&[&good, more].concat()));
    assert_eq!(of(None, &[]).unwrap().unwrap().client().as_str(), CLIENT);
    assert!(of(None, &[("client_id", CLIENT)]).is_ok());
    assert_eq!(of(None, &[("client_id", "other")]).unwrap_err().code, ErrorCode::InvalidClient);
    assert_eq!(of(Some("Basic YTpi"), &[]).unwrap_err().code, ErrorCode::InvalidRequest);
    assert_eq!(of(None, &[("client_secret", "s")]).unwrap_err().code, ErrorCode::InvalidRequest);
    assert!(credentials(None, &form(&[("client_id", CLIENT)])).unwrap().is_none());
    for wrong in [
        vec![("client_assertion", text.as_str())],
        vec![("client_assertion_type", TYPE)],
        vec![
            ("client_assertion", text.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        ],
    ] {
        assert_eq!(credentials(None, &form(&wrong)).unwrap_err().code, ErrorCode::InvalidClient);
    }
}

#[test]
fn t18_no_debug_output_shows_an_assertion() {
    let text = SigningKey::es256("k").sign(&claims(&json!({})));
    let (assertion, _) = Unverified::parse(&text).unwrap();
    let signature = text.rsplit('.').next().unwrap();
    assert!(!format!("{assertion:?}").contains(signature));
}

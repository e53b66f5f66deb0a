use std::time::Duration;

use axum::http::Request;
use axum::http::header;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::answer::Answer;
use super::harness::{ISSUER, World};
use super::login::{Client, REDIRECT, VERIFIER, query};
use crate::client_document::DocumentError;
use crate::provider::testing::{SigningKey, forged};

const URL: &str = "https://app.example/client.json";
const JWKS: &str = "https://app.example/jwks.json";
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn client() -> Client {
    Client { id: URL.into(), secret: None, method: "private_key_jwt".into(), redirect: REDIRECT.into() }
}

fn publish(world: &World, keys: Value) {
    let mut document = json!({
        "client_id": URL,
        "client_name": "Story",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "private_key_jwt",
    });
    let name = if keys.is_string() { "jwks_uri" } else { "jwks" };
    document[name] = keys;
    world.web.publish(URL, &document);
}

fn set(keys: &[&SigningKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

fn claims(world: &World, jti: &str) -> Value {
    json!({ "iss": URL, "sub": URL, "aud": ISSUER, "exp": world.now().as_secs() + 60, "jti": jti })
}

async fn post(world: &World, uri: &str, assertion: &str, form: &[(&str, &str)]) -> Answer {
    let form = [form, &[("client_assertion_type", TYPE), ("client_assertion", assertion)]].concat();
    let request = Request::post(uri).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    world.send(request, query(&form)).await
}

async fn redeem(world: &World, assertion: &str, code: &str) -> Answer {
    let form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
    post(world, "/token", assertion, &form).await
}

/// A login, without which nobody is asked about the client.
async fn log_in(world: &World) -> String {
    let code = world.log_in(&client(), &[]).await;
    world.web.asked();
    code
}

fn refused(answer: &Answer) {
    assert_eq!(answer.error(), (401, "invalid_client".into()), "{answer:#?}");
}

#[tokio::test]
async fn a_client_proves_who_it_is_with_its_key() {
    let (world, key) = (World::new(), SigningKey::es256("k"));
    publish(&world, set(&[&key]));
    let code = world.log_in(&client(), &[]).await;
    let tokens = redeem(&world, &key.sign(&claims(&world, "1")), &code).await.tokens();
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str()), ("client_id", URL)];
    let mut to_token = claims(&world, "2");
    to_token["aud"] = format!("{ISSUER}/token").into();
    let tokens = post(&world, "/token", &key.sign(&to_token), &form).await.tokens();

    let revoke = [("token", tokens.access.as_str())];
    let mut with_a_slash = claims(&world, "3");
    with_a_slash["aud"] = format!("{ISSUER}/").into();
    assert_eq!(post(&world, "/revoke", &key.sign(&with_a_slash), &revoke).await.status, 200);
    assert!(world.access_token(&tokens.access).await.is_none());
}

#[tokio::test]
async fn without_a_good_assertion_nothing_is_issued_and_the_code_stays_good() {
    let (world, key) = (World::new(), SigningKey::es256("k"));
    publish(&world, set(&[&key]));
    let code = world.log_in(&client(), &[]).await;
    let good = claims(&world, "1");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    let now = world.now().as_secs();
    for assertion in [
        with("aud", json!("https://other.example")),
        with("iss", json!("https://other.example/c")),
        with("exp", json!(now - 60)),
        with("exp", json!(now + 600)),
        with("nbf", json!(now + 60)),
        with("jti", json!("")),
        SigningKey::es256("k").sign(&good),
        SigningKey::es256("other").sign(&good),
        forged(&json!({ "alg": "none" }), &good, b""),
        forged(&json!({ "alg": "HS256", "kid": "k" }), &good, b"signature"),
        "no.jwt.at-all".to_owned(),
    ] {
        refused(&redeem(&world, &assertion, &code).await);
    }
    // By another method, or none.
    refused(&world.redeem(&client(), &code, &[]).await);
    refused(&world.redeem(&client(), &code, &[("client_secret", "s")]).await);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("client_assertion_type", "other"),
        ("client_assertion", "x"),
    ];
    refused(&world.post("/token", "application/x-www-form-urlencoded", query(&form)).await);

    redeem(&world, &key.sign(&good), &code).await.tokens();
}

#[tokio::test]
async fn an_assertion_is_good_once_also_after_a_restart_and_at_another_endpoint() {
    let (world, key) = (World::new(), SigningKey::es256("k"));
    publish(&world, set(&[&key]));
    let code = world.log_in(&client(), &[]).await;
    let assertion = key.sign(&claims(&world, "1"));
    let tokens = redeem(&world, &assertion, &code).await.tokens();
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
    refused(&post(&world, "/token", &assertion, &form).await);
    let world = world.restart();
    refused(&post(&world, "/token", &assertion, &form).await);
    refused(&post(&world, "/revoke", &assertion, &[("token", &tokens.access)]).await);
    // The same claims signed anew are the same assertion.
    refused(&post(&world, "/token", &key.sign(&claims(&world, "1")), &form).await);
    post(&world, "/token", &key.sign(&claims(&world, "2")), &form).await.tokens();
}

#[tokio::test]
async fn of_parallel_requests_with_one_assertion_one_is_the_clients() {
    let (world, key) = (World::new(), SigningKey::es256("k"));
    publish(&world, set(&[&key]));
    log_in(&world).await;
    let assertion = key.sign(&claims(&world, "1"));
    let form = [("token", "x")];
    let revoke = || post(&world, "/revoke", &assertion, &form);
    let (a, b, c) = tokio::join!(revoke(), revoke(), revoke());
    let accepted = [a, b, c].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn a_public_client_cannot_hide_behind_an_assertion() {
    let (world, key) = (World::new(), SigningKey::es256("k"));
    let document = json!({ "client_id": URL, "client_name": "Story", "redirect_uris": [REDIRECT], "jwks": set(&[&key]) });
    world.web.publish(URL, &document);
    log_in(&world).await;
    refused(&post(&world, "/revoke", &key.sign(&claims(&world, "1")), &[("token", "x")]).await);
}

#[tokio::test]
async fn keys_at_a_uri_are_fetched_kept_and_fetched_again_for_one_that_is_new() {
    let (world, old, new) =
        (World::new(), SigningKey::es256("old"), SigningKey::rsa("new", Algorithm::PS256));
    publish(&world, json!(JWKS));
    world.web.publish(JWKS, &set(&[&old]));
    log_in(&world).await;
    let revoke = async |key: &SigningKey, jti| {
        post(&world, "/revoke", &key.sign(&claims(&world, jti)), &[("token", "x")]).await
    };
    assert_eq!(revoke(&old, "1").await.status, 200);
    assert_eq!(revoke(&old, "2").await.status, 200);
    assert_eq!(world.web.asked(), [JWKS]);

    world.web.publish(JWKS, &set(&[&new]));
    refused(&revoke(&new, "3").await);
    assert!(world.web.asked().is_empty(), "a key that nobody knows does not make us ask at once");
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    tokio::time::resume();
    assert_eq!(revoke(&new, "4").await.status, 200);
    refused(&revoke(&old, "5").await);
    assert_eq!(world.web.asked(), [JWKS]);
}

#[tokio::test]
async fn t15_who_names_a_key_that_nobody_knows_cannot_spoil_those_that_are_known() {
    let (world, key) = (World::new(), SigningKey::es256("k"));
    publish(&world, json!(JWKS));
    world.web.publish(JWKS, &set(&[&key]));
    log_in(&world).await;
    let revoke = async |key: &SigningKey, jti| {
        post(&world, "/revoke", &key.sign(&claims(&world, jti)), &[("token", "x")]).await
    };
    assert_eq!(revoke(&key, "1").await.status, 200);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    tokio::time::resume();
    world.web.answer(JWKS, Err(DocumentError::Unavailable("no connection")));
    let unknown = revoke(&SigningKey::es256("x"), "2").await;
    assert_eq!(unknown.error(), (503, "temporarily_unavailable".into()));
    assert_eq!(world.web.asked(), [JWKS, JWKS]);
    assert_eq!(revoke(&key, "3").await.status, 200);
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_say_nothing_about_the_client() {
    let (world, key) = (World::new(), SigningKey::es256("k"));
    publish(&world, json!(JWKS));
    log_in(&world).await;
    world.web.answer(JWKS, Err(DocumentError::Unavailable("no connection")));
    let answer = post(&world, "/revoke", &key.sign(&claims(&world, "1")), &[("token", "x")]).await;
    assert_eq!(answer.error(), (503, "temporarily_unavailable".into()));
}

#[tokio::test]
async fn a_client_may_register_with_its_keys_but_not_with_a_url_of_them() {
    let (world, key) = (World::new(), SigningKey::ed25519("k"));
    let mut metadata =
        json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt" });
    metadata["jwks"] = set(&[&key]);
    let client = world.register(metadata.clone()).await;
    assert_eq!((client.method.as_str(), client.secret.as_deref()), ("private_key_jwt", None));
    let code = world.log_in(&client, &[]).await;
    let claims = json!({ "iss": client.id, "sub": client.id, "aud": ISSUER, "exp": world.now().as_secs() + 60, "jti": "1" });
    redeem(&world, &key.sign(&claims), &code).await.tokens();

    metadata.as_object_mut().unwrap().remove("jwks");
    metadata["jwks_uri"] = JWKS.into();
    let answer = world.post("/register", "application/json", metadata.to_string()).await;
    assert_eq!(answer.error(), (400, "invalid_client_metadata".into()));
    assert!(world.web.asked().is_empty());
}

#[tokio::test]
async fn the_metadata_says_by_which_algorithms() {
    let metadata = World::new().get("/.well-known/oauth-authorization-server").await.json();
    for endpoint in ["token", "revocation"] {
        let methods = metadata[format!("{endpoint}_endpoint_auth_methods_supported")].as_array().unwrap();
        assert!(methods.contains(&json!("private_key_jwt")) && methods.contains(&json!("none")));
        let algorithms = &metadata[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(*algorithms, json!(["ES256", "RS256", "PS256", "EdDSA"]));
    }
}

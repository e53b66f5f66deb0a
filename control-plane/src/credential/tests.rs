use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis_proto::random::SystemRandom;
use serde_json::{Value, json};

use super::*;
use crate::config::{Config, StaticCredential};
use crate::http::tests::harness::{DEMO, ISSUER, World};
use crate::http::tests::login::public;
use crate::http::tests::provider::jane;
use crate::oauth::admission::Facts;

const MINUTE: Duration = Duration::from_mins(1);
const KEY_SET: &str = "/.well-known/jwks.json";

/// A user's token and grant at a server with this configuration. The provider's token lives an hour.
async fn login(adjust: fn(&mut Config)) -> (World, AccessToken, Grant) {
    let world = World::with(adjust);
    let client = world.register(public()).await;
    let access = world.tokens(&client).await.access;
    let (token, grant) = world.access_token(&access).await.unwrap();
    (world, token, grant)
}

fn demo(config: &mut Config) -> &mut Server {
    config.servers.values_mut().next().unwrap()
}

/// What the MCP server gets, as name and value, and until when.
async fn composed(
    world: &World,
    token: &AccessToken,
    grant: &Grant,
) -> (Vec<(String, String)>, Option<Timestamp>) {
    let composed = compose(&world.app, token, grant, world.now()).await.unwrap();
    assert_eq!(Some(composed.revision), world.app.recipes.of(&grant.server).map(|recipe| recipe.revision));
    let data_key = world.app.keys.unwrap_key(&grant.master_key, &grant.id, &grant.data_key).unwrap();
    let encoded = data_key.open(&grant.id, Field::Credential, &composed.sealed).unwrap();
    let headers = v1::Credential::decode(encoded.as_slice()).unwrap().headers;
    (headers.into_iter().map(|header| (header.name, header.value)).collect(), composed.expires_at)
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Verifies an assertion as an MCP server does, but for the time, which is the test's.
async fn verified(world: &World, text: &str, audience: &str) -> Option<Value> {
    let metadata = world.get("/.well-known/oauth-authorization-server").await.json();
    let uri = metadata["jwks_uri"].as_str().unwrap().strip_prefix(ISSUER).unwrap();
    let set: JwkSet = serde_json::from_value(world.get(uri).await.json()).unwrap();
    let header = jsonwebtoken::decode_header(text).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("JWT"), Algorithm::ES256));
    let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(text, &key, &validation).ok().map(|token| token.claims)
}

#[tokio::test]
async fn the_providers_token_is_handed_on_as_it_is_kept() {
    let (world, token, grant) = login(|_| {}).await;
    let (headers, expires_at) = composed(&world, &token, &grant).await;
    assert_eq!(headers, [header("authorization", "Bearer s3cr3t-access-1")]);
    assert_eq!(expires_at, grant.upstream.credential_expires_at);
}

#[tokio::test]
async fn none_is_no_header() {
    let (world, token, grant) = login(|config| demo(config).credential = CredentialMode::None).await;
    assert_eq!(composed(&world, &token, &grant).await.0, []);
}

#[tokio::test]
async fn a_static_credential_is_the_same_for_all_in_the_header_that_was_chosen() {
    let (world, token, grant) = login(|config| {
        demo(config).credential = CredentialMode::Static(StaticCredential {
            secret: "s3cr3t-static".into(),
            file: None,
            header: CredentialHeader { name: "x-api-key".into(), scheme: None },
        });
    })
    .await;
    assert_eq!(composed(&world, &token, &grant).await.0, [header("x-api-key", "s3cr3t-static")]);
}

#[tokio::test]
async fn an_assertion_says_who_calls_where_and_is_verified_by_what_the_metadata_names() {
    let (world, token, grant) = login(|config| demo(config).credential = CredentialMode::Assertion).await;
    let (headers, expires_at) = composed(&world, &token, &grant).await;
    let [(name, value)] = headers.as_slice() else { panic!("{headers:?}") };
    assert_eq!(name, "authorization");
    let text = value.strip_prefix("Bearer ").unwrap();
    let mut claims = verified(&world, text, DEMO).await.unwrap();
    assert!(claims["jti"].take().as_str().is_some_and(|jti| jti.len() == JTI_LENGTH));
    let now = world.now().as_secs();
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER,
            "sub": grant.subject.as_str(),
            "aud": DEMO,
            "client_id": grant.client.as_str(),
            "scope": token.scopes.to_string(),
            "jti": null,
            "iat": now,
            "exp": now + 300,
            "provider": "corp",
            "email": grant.email.as_deref().unwrap(),
            "email_verified": false,
        })
    );
    assert_eq!(expires_at, Some(world.now().after(Duration::from_secs(270))), "with some to spare");
    assert!(verified(&world, text, "http://localhost:10000/other").await.is_none());
    let (again, _) = composed(&world, &token, &grant).await;
    assert_ne!(again, headers, "each has a jti of its own");
}

const JTI_LENGTH: usize = 22;

#[tokio::test]
async fn t12_an_assertion_says_whether_anybody_vouches_for_the_address() {
    for email_verified in [false, true] {
        let world = World::with(|config| demo(config).credential = CredentialMode::Assertion);
        world.provider.answers(|script| script.user = jane(Facts { email_verified, ..Facts::default() }));
        let client = world.register(public()).await;
        let access = world.tokens(&client).await.access;
        let (token, grant) = world.access_token(&access).await.unwrap();
        let (headers, _) = composed(&world, &token, &grant).await;
        let claims = verified(&world, headers[0].1.strip_prefix("Bearer ").unwrap(), DEMO).await.unwrap();
        assert_eq!(claims["email_verified"], email_verified);
    }
}

#[tokio::test]
async fn an_assertion_may_come_beside_another_credential() {
    let (world, token, grant) =
        login(|config| demo(config).assertion = Some("x-portcullis-assertion".into())).await;
    let (headers, expires_at) = composed(&world, &token, &grant).await;
    assert_eq!(headers[0], header("authorization", "Bearer s3cr3t-access-1"));
    assert_eq!((headers.len(), headers[1].0.as_str()), (2, "x-portcullis-assertion"));
    assert!(verified(&world, &headers[1].1, DEMO).await.is_some());
    // Whichever ends first.
    assert_eq!(expires_at, Some(world.now().after(Duration::from_secs(270))));
    world.clock.advance(58 * MINUTE);
    let (_, expires_at) = composed(&world, &token, &grant).await;
    assert_eq!(expires_at, grant.upstream.credential_expires_at);
}

#[tokio::test]
async fn a_key_set_is_named_and_filled_only_where_there_are_assertions() {
    for (adjust, keys) in [
        ((|_| {}) as fn(&mut Config), 0),
        (|config| demo(config).credential = CredentialMode::Assertion, 1),
        (|config| demo(config).assertion = Some("x-proof".into()), 1),
    ] {
        let world = World::with(adjust);
        let metadata = world.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata.get("jwks_uri").is_some(), keys > 0);
        let answer = world.get(KEY_SET).await;
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        assert_eq!(answer.json()["keys"].as_array().unwrap().len(), keys);
        let file = world.app.config.keys.join("signing-keys.json");
        assert_eq!(file.exists(), keys > 0);
    }
}

#[tokio::test]
async fn the_provider_is_asked_in_time_and_in_an_outage_after_a_while() {
    let (world, token, mut grant) = login(|config| demo(config).credential = CredentialMode::None).await;
    let provider_expiry = grant.upstream.credential_expires_at.unwrap();
    assert_eq!(composed(&world, &token, &grant).await.1, Some(provider_expiry));
    for pause in [59 * MINUTE, 2 * MINUTE] {
        world.clock.advance(pause);
        assert_eq!(composed(&world, &token, &grant).await.1, Some(world.now().after(AGAIN)));
    }
    grant.upstream.refresh_token = None;
    assert_eq!(composed(&world, &token, &grant).await.1, None);
}

#[tokio::test]
async fn a_grant_that_is_sealed_for_another_is_not_opened() {
    let (world, token, grant) =
        login(|config| demo(config).assertion = Some("x-portcullis-assertion".into())).await;
    let other = SealingKey::generate(&SystemRandom);
    let (master_key, data_key) = world.app.keys.wrap(&SystemRandom, &grant.id, &other);
    let grant = Grant { master_key, data_key, ..grant };
    let error = compose(&world.app, &token, &grant, world.now()).await.unwrap_err();
    assert!(matches!(error, ComposeError::Open(_)), "{error}");
}

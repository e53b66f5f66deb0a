//! What a code brings.

use super::*;

#[tokio::test]
async fn a_code_brings_the_user_and_the_tokens() {
    let world = World::new().await;
    let (identity, tokens) = world.exchange().await.unwrap();

    let jane = Identity {
        subject: Subject::new("248289761001"),
        email: Some("jane@example.com".into()),
        facts: Facts::default(),
    };
    assert_eq!(identity, jane);
    assert_eq!(tokens.access_token.expose_secret(), "s3cr3t-access");
    assert_eq!(tokens.refresh_token.as_ref().unwrap().expose_secret(), "s3cr3t-refresh");
    assert_eq!(tokens.expires_at, Some(NOW.after(Duration::from_hours(1))));

    let request = world.fake.request("/token");
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "s3cr3t-code"),
        ("redirect_uri", "https://portcullis.example/callback"),
        ("code_verifier", login().verifier),
    ];
    assert_eq!(request.form, expected.map(|(name, value)| (name.into(), value.into())).into());
    // portcullis:s3cr3t-client
    assert_eq!(request.headers["authorization"], "Basic cG9ydGN1bGxpczpzM2NyM3QtY2xpZW50");
    let agent = request.headers["user-agent"].to_str().unwrap();
    assert_eq!(agent, concat!("portcullis/", env!("CARGO_PKG_VERSION")));
    assert!(world.fake.requests("/userinfo").is_empty(), "the ID token has said it all");
}

#[tokio::test]
async fn client_secret_post_puts_the_secret_into_the_form() {
    let world = World::with(App {
        identity: AppIdentity::Fixed(credentials(ClientAuth::Post(secret("client")))),
        ..app()
    })
    .await;
    world.exchange().await.unwrap();
    let request = world.fake.request("/token");
    assert_eq!(request.form["client_id"], CLIENT_ID);
    assert_eq!(request.form["client_secret"], "s3cr3t-client");
    assert!(!request.headers.contains_key("authorization"));
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let world = World::new().await;
    let changed = |name: &str, value: Value| {
        let mut claims = world.claims();
        claims[name] = value;
        claims
    };
    let cases = [
        (changed("iss", json!("https://evil.example")), "iss is another's"),
        (changed("aud", json!("another")), "aud is another's"),
        (changed("azp", json!("another")), "azp is another's"),
        (changed("nonce", json!("n-another")), "nonce is not this login's"),
        (changed("exp", json!(NOW.as_secs() - 60)), "it has expired"),
    ];
    for (claims, why) in cases {
        world.answer_with(&world.key.sign(&claims));
        assert_eq!(error_of(world.exchange().await), ProviderError::IdToken(why.into()));
    }
}

#[tokio::test]
async fn a_login_without_an_id_token_is_none() {
    let world = World::new().await;
    world.fake.reply("/token", token_answer());
    assert_eq!(error_of(world.exchange().await), ProviderError::IdToken("there is none".into()));
    world.answer_with("s3cr3t.s3cr3t.s3cr3t");
    assert!(matches!(error_of(world.exchange().await), ProviderError::IdToken(_)));
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_unknown_keys_make_no_storm() {
    let mut world = World::new().await;
    world.exchange().await.unwrap();
    let fetched = |world: &World| world.fake.requests("/jwks").len();
    assert_eq!(fetched(&world), 1);

    world.key = SigningKey::es256("2025");
    world.answer_with(&world.key.sign(&world.claims()));
    world.fake.reply("/jwks", json!({ "keys": [world.key.jwk()] }));
    let unknown = ProviderError::IdToken("its key is not in the provider's key set".into());
    assert_eq!(error_of(world.exchange().await), unknown, "the key set is younger than a minute");
    assert_eq!(fetched(&world), 1);

    pass(UNKNOWN_KEY_INTERVAL).await;
    let (a, b, c) = tokio::join!(world.exchange(), world.exchange(), world.exchange());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(fetched(&world), 2);

    world.answer_with(&SigningKey::es256("2026").sign(&world.claims()));
    for _ in 0..5 {
        assert_eq!(error_of(world.exchange().await), unknown);
    }
    assert_eq!(fetched(&world), 2);
}

// === the e-mail address ===

#[tokio::test]
async fn userinfo_names_the_email_that_the_id_token_lacks() {
    let world = World::new().await;
    let mut claims = world.claims();
    claims.as_object_mut().unwrap().remove("email");
    world.answer_with(&world.key.sign(&claims));

    let cases = [
        (json!({ "sub": "248289761001", "email": "jane@example.com" }).into(), Some("jane@example.com")),
        (json!({ "sub": "another", "email": "mallory@example.com" }).into(), None),
        (json!({ "email": "mallory@example.com" }).into(), None),
        (json!({ "sub": "248289761001" }).into(), None),
        (Reply::status(500, "s3cr3t"), None),
        (Reply::status(200, "<html>"), None),
    ];
    for (reply, email) in cases {
        world.fake.reply("/userinfo", reply);
        let (identity, _) = world.exchange().await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.email.as_deref()), ("248289761001", email));
    }
    assert_eq!(world.fake.requests("/userinfo")[0].headers["authorization"], "Bearer s3cr3t-access");
}

#[tokio::test]
async fn userinfo_is_not_asked_for_an_email_that_nobody_wants() {
    let world = World::with(App { scopes: vec!["openid".into()], ..app() }).await;
    let mut claims = world.claims();
    claims.as_object_mut().unwrap().remove("email");
    world.answer_with(&world.key.sign(&claims));
    assert_eq!(world.exchange().await.unwrap().0.email, None);
    assert!(world.fake.requests("/userinfo").is_empty());
}

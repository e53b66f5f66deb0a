//! What the provider says of itself.

use super::*;

#[tokio::test]
async fn discovery_is_asked_once_by_a_crowd_and_again_after_an_hour() {
    let world = World::new().await;
    let mut crowd = tokio::task::JoinSet::new();
    let oidc = Arc::new(world.oidc);
    for _ in 0..20 {
        let oidc = Arc::clone(&oidc);
        crowd.spawn(async move { oidc.authorization_url(&login()).await });
    }
    for url in crowd.join_all().await {
        url.unwrap();
    }
    assert_eq!(world.fake.requests(DISCOVERY).len(), 1);

    pass(Duration::from_hours(1)).await;
    oidc.authorization_url(&login()).await.unwrap();
    assert_eq!(world.fake.requests(DISCOVERY).len(), 2);
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_seldom_and_found_when_it_is_back() {
    let world = World::new().await;
    world.fake.reply(DISCOVERY, Reply::status(503, "s3cr3t"));
    for _ in 0..3 {
        let error = error_of(world.oidc.authorization_url(&login()).await);
        assert_eq!(error, unreachable("the discovery document: HTTP 503"));
    }
    assert_eq!(world.fake.requests(DISCOVERY).len(), 1);

    world.discover(&json!({}));
    pass(Duration::from_secs(5)).await;
    world.oidc.authorization_url(&login()).await.unwrap();
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    for wrong in ["https://evil.example".to_owned(), String::new()] {
        let world = World::new().await;
        world.discover(&json!({ "issuer": wrong }));
        let error = error_of(world.oidc.authorization_url(&login()).await);
        let text = format!("`issuer` of the discovery document is not {} to the letter", world.fake.issuer);
        assert_eq!(error, ProviderError::Malformed(text));
    }
}

#[tokio::test]
async fn endpoints_without_https_are_refused() {
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        for url in [
            "http://idp.example/x",
            "javascript:alert(1)",
            "ftp://127.0.0.1/x",
            "http://127.0.0.1.evil.example/",
        ] {
            let world = World::new().await;
            world.discover(&json!({ name: url }));
            let error = error_of(world.oidc.authorization_url(&login()).await);
            let text = "the discovery document has an endpoint without https";
            assert_eq!(error, ProviderError::Malformed(text.into()), "{name} {url}");
        }
    }
}

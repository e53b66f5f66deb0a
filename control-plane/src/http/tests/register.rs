use std::time::Duration;

use serde_json::{Value, json};

use super::answer::Answer;
use super::harness::World;
use super::login::{Browser, REDIRECT, public};

async fn register(world: &World, metadata: &Value) -> Answer {
    world.post("/register", "application/json", metadata.to_string()).await
}

#[tokio::test]
async fn a_client_that_names_no_method_gets_a_secret_for_http_basic() {
    let world = World::new();
    let metadata =
        json!({ "redirect_uris": [REDIRECT], "client_uri": "https://app.example", "client_name": "A" });
    let answer = register(&world, &metadata).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"));
    let mut json = answer.json();
    let members = json.as_object_mut().unwrap();
    assert!(members.remove("client_id").unwrap().as_str().unwrap().len() >= 22);
    assert!(members.remove("client_secret").unwrap().as_str().unwrap().starts_with("pcl_cs_"));
    let rest = json!({
        "client_id_issued_at": 1_700_000_000,
        "client_name": "A",
        "client_uri": "https://app.example/",
        "redirect_uris": [REDIRECT],
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_secret_expires_at": 0,
    });
    assert_eq!(json, rest);
}

#[tokio::test]
async fn a_public_client_gets_no_secret_and_nothing_is_null() {
    let world = World::new();
    let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
    let json = register(&world, &metadata).await.json();
    assert_eq!(json["token_endpoint_auth_method"], "none");
    let members = json.as_object().unwrap();
    assert!(!members.contains_key("client_secret") && !members.contains_key("client_secret_expires_at"));
    assert!(!members.values().any(Value::is_null), "{json}");
}

#[tokio::test]
async fn t01_t02_t03_dangerous_redirect_uris_are_refused_and_nothing_is_kept() {
    let world = World::new();
    for uri in [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "\u{1}javascript:alert(1)",
        "data:text/html,x",
        "blob:https://app.example/x",
        "mailto:a@app.example",
        "file:///etc/passwd",
        "http://app.example/cb",
        "https://user@app.example/cb",
        "https://localhost@evil.example/",
        "https://app.example/cb/%2e%2e/x",
        "https://app.example/cb#fragment",
        "http://localhost:10000/callback",
        "/cb",
    ] {
        let answer = register(&world, &json!({ "redirect_uris": [REDIRECT, uri] })).await;
        assert_eq!(answer.error(), (400, "invalid_redirect_uri".into()), "{uri:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    assert_eq!(world.count_rows().await, 0);
}

#[tokio::test]
async fn t02_an_apps_own_scheme_with_a_dot_is_accepted() {
    let world = World::new();
    let client = world.register(json!({ "redirect_uris": ["com.example.app:/cb"] })).await;
    assert_eq!(client.redirect, "com.example.app:/cb");
}

#[tokio::test]
async fn the_application_type_is_registered_and_goes_with_the_redirect_uris() {
    let world = World::new();
    let loopback = "http://127.0.0.1:33418/callback";
    let registration = |uri: &str, said: &Value| json!({ "redirect_uris": [uri], "application_type": said });
    for (uri, said, registered) in [
        (loopback, json!("native"), "native"),
        (REDIRECT, json!("native"), "native"),
        (REDIRECT, json!("web"), "web"),
        // Most clients say nothing.
        (loopback, Value::Null, "native"),
        (REDIRECT, Value::Null, "web"),
    ] {
        let answer = register(&world, &registration(uri, &said)).await;
        assert_eq!(answer.status, 201, "{uri} {said}: {answer:#?}");
        assert_eq!(answer.json()["application_type"], registered, "{uri} {said}");
    }
    for (uri, said, code) in [
        (loopback, json!("web"), "invalid_redirect_uri"),
        ("com.example.app:/cb", json!("web"), "invalid_redirect_uri"),
        ("https://localhost/cb", json!("web"), "invalid_redirect_uri"),
        (REDIRECT, json!("desktop"), "invalid_client_metadata"),
        (REDIRECT, json!(["native"]), "invalid_client_metadata"),
    ] {
        let answer = register(&world, &registration(uri, &said)).await;
        assert_eq!(answer.error(), (400, code.into()), "{uri} {said}");
        let description = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(description.contains("application_type"), "{description}");
    }
}

#[tokio::test]
async fn t12_t15_what_is_wrong_with_the_metadata_is_named() {
    let world = World::new();
    let deep = format!("{{\"redirect_uris\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [
        "".as_bytes(),
        b"[]",
        b"{",
        b"{\"redirect_uris\":\"\xff\"}",
        deep.as_bytes(),
        b"{\"redirect_uris\":[]}",
        b"{\"redirect_uris\":[\"https://app.example/cb\"],\"logo_uri\":\"http://app.example/\"}",
        b"{\"redirect_uris\":[\"https://app.example/cb\"],\"client_name\":7}",
        b"{\"redirect_uris\":[\"https://app.example/cb\"],\"grant_types\":[\"client_credentials\"]}",
    ] {
        let answer = world.post("/register", "application/json", body.to_vec()).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".into()));
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let answer = world.post("/register", content_type, public().to_string()).await;
        assert_eq!(answer.error(), (400, "invalid_client_metadata".into()), "{content_type}");
    }
    let answer = world.post("/register", "Application/JSON; charset=utf-8", public().to_string()).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn t17_a_flood_of_registrations_fills_a_quota_and_a_known_client_still_works() {
    let world = World::with(|config| config.limits.unused_clients = 2);
    let known = world.register(public()).await;
    world.log_in(&known, &[]).await;
    let (unused, _) = (world.register(public()).await, world.register(public()).await);

    let full = register(&world, &public()).await;
    assert_eq!(full.error(), (503, "temporarily_unavailable".into()));
    assert_eq!(full.header("retry-after"), "60");
    let tokens = world.tokens(&known).await;
    assert!(world.access_token(&tokens.access).await.is_some());

    // Nobody has used them for a day: they are gone, and there is room again.
    world.clock.advance(Duration::from_hours(24));
    assert!(world.open(&Browser::default(), &unused, &[]).await.is_page(400));
    assert_eq!(world.redeem(&unused, "x", &[]).await.error(), (401, "invalid_client".into()));
    world.app.store.sweep(world.now(), 1000).await.unwrap();
    assert_eq!(register(&world, &public()).await.status, 201);
    world.log_in(&known, &[]).await;
}

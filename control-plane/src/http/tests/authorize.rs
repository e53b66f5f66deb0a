use axum::http::Request;
use portcullis_proto::ids::ClientId;
use serde_json::{Value, json};

use super::answer::param;
use super::harness::{DEMO, ISSUER, World};
use super::login::{Browser, Client, REDIRECT, public, query};
use crate::oauth::client::{self, ClientAuth};

#[tokio::test]
async fn a_request_that_is_only_looked_at_consumes_and_stores_nothing() {
    let world = World::with(|config| config.limits.pending = 1);
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let again = world.authorize_in(&page.browser, &client, &[]).await;
    assert_eq!(page.answer.body, again.answer.body);
    assert_eq!(again.answer.header("set-cookie"), "");
    let head = Request::head(format!("/authorize?{}", page.request));
    assert_eq!(world.send(page.browser.with(head), "").await.status, 200);

    // The one login that there is room for is not begun before the approval.
    let state = param(&world.approve(&page).await, "state");
    let answer = world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await;
    assert_eq!(param(&answer.redirect(), "iss"), ISSUER);

    let world = World::new();
    let client = world.register(public()).await;
    world.authorize(&client, &[]).await;
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn missing_scope_and_resource_mean_all_of_the_only_server() {
    let world = World::new();
    let client = world.register(public()).await;
    let body = world.authorize(&client, &[]).await.answer.body;
    for text in ["<strong>Story</strong>", "<li>openid</li>", "<li>email</li>", DEMO, "app.example"] {
        assert!(body.contains(text), "{text} is missing: {body}");
    }
    let body = world.authorize(&client, &[("scope", "email")]).await.answer.body;
    assert!(body.contains("<li>email</li>") && !body.contains("<li>openid</li>"), "{body}");
}

#[tokio::test]
async fn what_the_page_shows_is_what_the_provider_is_asked_for_and_what_is_granted() {
    let world = World::new();
    let client = world.register(public()).await;
    for (asked, granted) in [("email", "email"), ("email openid", "email openid"), ("", "openid email")] {
        let page = world.authorize(&client, &[("scope", asked)]).await;
        let shown = page.answer.body.matches("<li>").count();
        assert_eq!(shown, granted.split(' ').count(), "{asked:?}: {}", page.answer.body);
        let provider = world.approve(&page).await;
        assert_eq!(param(&provider, "scope"), granted);
        let answer = [("state", param(&provider, "state")), ("code", "s3cr3t-code".into())];
        let answer = answer.each_ref().map(|(name, value)| (*name, value.as_str()));
        let code = param(&world.callback(&page.browser, &answer).await.redirect(), "code");
        assert_eq!(world.redeem(&client, &code, &[]).await.tokens().scope, granted);
    }
}

#[tokio::test]
async fn t01_t02_what_is_not_registered_is_never_redirected_to() {
    let world = World::new();
    let mut metadata = public();
    metadata["redirect_uris"] = json!([REDIRECT, "http://127.0.0.1:3334/cb"]);
    let client = world.register(metadata).await;
    for uri in [
        "https://evil.example/cb",
        "https://app.example/cb/",
        "https://app.example/cb?x=1",
        "https://app.example/cb/%2e%2e/x",
        "https://app.example/cb/../cb",
        "https://app.example@evil.example/cb",
        "https://app.example/cb#x",
        "https://APP.example/cb",
        "http://127.0.0.1:3334/other",
        "http://127.0.0.1:3334@evil.example/cb",
        "http://localhost@evil.example/cb",
        "http://localhost:3334/cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "\u{1}javascript:alert(1)",
        "data:text/html,x",
        "",
    ] {
        // Other faults of the request must not change that.
        for changes in [&[("redirect_uri", uri)][..], &[("redirect_uri", uri), ("response_type", "token")]] {
            let answer = world.open(&Browser::default(), &client, changes).await;
            assert!(answer.is_page(400), "{uri:?}: {answer:#?}");
            assert!(!answer.body.contains("class=\"button"), "{uri:?}");
        }
    }
    let any_port = [("redirect_uri", "http://127.0.0.1:50001/cb")];
    assert!(world.open(&Browser::default(), &client, &any_port).await.is_page(200));
}

#[tokio::test]
async fn t02_t03_what_was_registered_once_is_judged_again() {
    let world = World::new();
    for (id, uri) in [
        ("script", "javascript:alert(1)//."),
        ("data", "data:text/html,x"),
        ("blob", "blob:https://app.example/x"),
        ("mail", "mailto:a@app.example"),
        ("file", "file:///etc/passwd"),
        ("callback", "http://localhost:10000/callback"),
    ] {
        let redirect_uris = serde_json::from_value(json!([uri])).unwrap();
        let row = client::Client {
            id: ClientId::new(id),
            name: None,
            uri: None,
            source: client::ClientSource::Registered,
            auth: ClientAuth::None,
            redirect_uris,
            created_at: world.now(),
            unused_until: None,
        };
        world.app.store.register(row, 10).await.unwrap();
        let client = Client { id: id.into(), secret: None, method: "none".into(), redirect: uri.to_owned() };
        for uri in [uri, ""] {
            let answer = world.open(&Browser::default(), &client, &[("redirect_uri", uri)]).await;
            assert!(answer.is_page(400), "{id} {uri:?}");
        }
    }
}

#[tokio::test]
async fn t04_t13_t16_faults_go_back_to_the_client_with_iss_and_state() {
    let world = World::new();
    let client = world.register(public()).await;
    let long = "x".repeat(3000);
    for (name, value, code) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "S512", "invalid_request"),
        ("scope", "admin", "invalid_scope"),
        ("scope", "  ", "invalid_scope"),
        ("scope", "em\"ail", "invalid_scope"),
        ("resource", "http://localhost:10000/other", "invalid_target"),
        ("resource", "http://localhost:10000/demo/mcp#x", "invalid_target"),
        ("resource", "http://evil.example/demo/mcp", "invalid_target"),
        ("resource", "demo", "invalid_target"),
        ("state", &long, "invalid_request"),
    ] {
        let answer = world.open(&Browser::default(), &client, &[(name, value)]).await;
        assert!(answer.is_page(400) && answer.body.contains("Back to app.example<"), "{answer:#?}");
        let back = answer.button();
        assert!(back.as_str().starts_with(&format!("{REDIRECT}?")), "{back}");
        assert_eq!(param(&back, "error"), code, "{name}={value}");
        assert_eq!(param(&back, "iss"), ISSUER);
        assert_eq!(param(&back, "state"), if name == "state" { &long } else { "the client's state" });
        assert_eq!(param(&back, "code"), "");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    for resource in ["HTTP://LocalHost:10000/demo/mcp", "http://localhost:10000/demo/mcp/"] {
        assert!(world.open(&Browser::default(), &client, &[("resource", resource)]).await.is_page(200));
    }
}

#[tokio::test]
async fn a_clients_state_cannot_split_the_answer() {
    let world = World::new();
    let client = world.register(public()).await;
    let state = "x\r\nSet-Cookie: portcullis=evil\0&code=evil#é";
    let changes = [("state", state), ("response_type", "token")];
    let answer = world.open(&Browser::default(), &client, &changes).await;
    assert_eq!(answer.header("set-cookie"), "");
    let back = answer.button();
    assert_eq!((param(&back, "state"), param(&back, "code")), (state.to_owned(), String::new()));
    assert_eq!(back.fragment(), None);
}

#[tokio::test]
async fn t15_malformed_queries_and_unknown_clients_get_a_page() {
    let world = World::new();
    let client = world.register(public()).await;
    let good = [("client_id", client.id.as_str()), ("redirect_uri", REDIRECT), ("response_type", "code")];
    let good = query(&good);
    let many: Vec<_> = (0..60).map(|n| format!("&p{n}=1")).collect();
    for bad in [
        String::new(),
        format!("{good}&client_id={}", client.id),
        format!("{good}&redirect_uri=https://evil.example/"),
        format!("{good}&state=1&state=2"),
        format!("{good}&state=%ff"),
        format!("{good}&x=1&%78=1"),
        good.replace(&client.id, "unknown"),
        good.replace(&client.id, ""),
        good.replace(&client.id, "%00"),
        format!("{good}{}", many.join("")),
    ] {
        assert!(world.get(&format!("/authorize?{bad}")).await.is_page(400), "{bad}");
    }
    assert!(world.get("/authorize").await.is_page(400));
}

#[tokio::test]
async fn t08_t11_every_client_is_asked_about_and_a_login_before_spares_nobody_the_page() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let state = param(&world.approve(&page).await, "state");
    world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.redirect();

    let mut other: Value = public();
    other["client_name"] = "Mallory".into();
    other["redirect_uris"] =
        json!(["https://evil.example/cb", "http://127.0.0.1:3334/cb", "com.example.app:/cb"]);
    let other = world.register(other).await;
    let asked = world.authorize_in(&page.browser, &other, &[]).await.answer.body;
    assert!(asked.contains("Mallory") && asked.contains("<strong>evil.example</strong>"), "{asked}");
    assert!(!asked.contains("class=\"warning\""));
    let loopback = [("redirect_uri", "http://127.0.0.1:50001/cb")];
    let asked = world.authorize_in(&page.browser, &other, &loopback).await.answer.body;
    assert!(asked.contains("class=\"warning\""), "{asked}");
    let scheme = [("redirect_uri", "com.example.app:/cb")];
    let asked = world.authorize_in(&page.browser, &other, &scheme).await.answer.body;
    assert!(asked.contains("class=\"warning\"") && asked.contains("(com.example.app:)"), "{asked}");
    world.authorize_in(&page.browser, &client, &[]).await;
}

#[tokio::test]
async fn t11_wherever_a_request_comes_from_and_whatever_it_changes_the_page_is_shown() {
    const OTHER: &str = "http://localhost:10000/other/mcp";
    let mut world = World::serving(&[("demo", DEMO), ("other", OTHER)]);
    let mut metadata: Value = public();
    metadata["redirect_uris"] = json!([REDIRECT, "https://app.example/other"]);
    let client = world.register(metadata).await;
    let approved = [("resource", DEMO), ("scope", "openid")];
    let page = world.authorize(&client, &approved).await;
    let state = param(&world.approve(&page).await, "state");
    world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.redirect();
    for site in ["cross-site", "same-site", "same-origin", "none"] {
        world.headers = vec![("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
        for changed in [
            ("resource", DEMO),
            ("resource", OTHER),
            ("scope", "openid email"),
            ("redirect_uri", "https://app.example/other"),
        ] {
            let mut request = approved.to_vec();
            request.retain(|(name, _)| *name != changed.0);
            request.push(changed);
            let again = world.authorize_in(&page.browser, &client, &request).await;
            assert!(again.answer.body.contains("value=\"approve\""), "{site} {changed:?}");
        }
    }
}

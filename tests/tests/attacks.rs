//! Attacks on the whole: real Envoy, real authz, real control plane.

use std::time::Duration;

use http::StatusCode;
use portcullis_tests::client::Client;
use portcullis_tests::edge::{Request, Response};
use portcullis_tests::stack::Stack;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

/// A tool call as bytes, without a token.
fn call(stack: &Stack) -> Request {
    let authority = stack.origin().replace("http://", "");
    Request::new("POST", "/demo/mcp").to(&authority).header("content-type", "application/json")
}

async fn send(stack: &Stack, request: Request) -> Response {
    request.body("{}").send(stack.addresses().edge).await
}

async fn bearer(stack: &Stack, token: &str) -> Response {
    send(stack, call(stack).header("authorization", &format!("Bearer {token}"))).await
}

/// A second MCP server on the same origin.
fn second_server(config: &mut Value) {
    let mut other = config["servers"]["demo"].clone();
    other["url"] = json!(other["url"].to_string().trim_matches('"').replace("/demo/", "/other/"));
    config["servers"]["other"] = other;
}

#[tokio::test]
async fn t24_no_token_but_one_good_bearer_token_passes() {
    let stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Attacks").await;
    let token = client.login("ada").await.access_token;
    assert_eq!(bearer(&stack, &token).await.status, 200);
    assert_eq!(stack.upstream().take().len(), 1);

    let with = |value: &str| call(&stack).header("authorization", value);
    let good = format!("Bearer {token}");
    let refused = [
        ("none", call(&stack)),
        ("two", with(&good).header("authorization", &good)),
        ("comma-joined", with(&format!("{good}, {good}"))),
        ("lower case", with(&format!("bearer {token}"))),
        ("two blanks", with(&format!("Bearer  {token}"))),
        ("no scheme", with(&token)),
        ("basic", with(&format!("Basic {token}"))),
        ("8 KiB", with(&format!("Bearer pcl_at_{}", "a".repeat(8 * 1024)))),
        ("outside ASCII", with(&format!("{good}\u{e9}"))),
        ("mistyped", with(&format!("Bearer {token}x"))),
        ("made up", with("Bearer pcl_at_made-up")),
        (
            "in the query",
            Request::new("POST", &format!("/demo/mcp?access_token={token}"))
                .to(&stack.origin().replace("http://", "")),
        ),
    ];
    for (what, request) in refused {
        let response = send(&stack, request).await;
        assert_eq!(response.status, 401, "{what}: {response:?}");
        assert!(
            response.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer "))
        );
    }
    assert!(stack.upstream().take().is_empty(), "something reached the MCP server");
}

#[tokio::test]
async fn t07_a_made_up_token_with_a_right_checksum_changes_nothing() {
    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::token::{Access, Code, Refresh, Token};

    let stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Attacks").await;
    let tokens = client.login("ada").await;
    let made_up = Token::<Access>::generate(&SystemRandom);
    assert_eq!(bearer(&stack, made_up.expose()).await.status, 401);
    let refresh = client.refresh(Token::<Refresh>::generate(&SystemRandom).expose()).await;
    assert_eq!(refresh.json()["error"], "invalid_grant");
    let code = client.redeem(&client.authorization(), Token::<Code>::generate(&SystemRandom).expose()).await;
    assert_eq!(code.json()["error"], "invalid_grant");
    assert_eq!(client.revoke(made_up.expose()).await.status, StatusCode::OK);
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    assert_eq!(client.refresh(&tokens.refresh_token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn t19_a_token_for_one_server_is_no_token_at_another() {
    let stack = Stack::builder().configure(|config, _| second_server(config)).start().await;
    let client = Client::register(stack.url(), "Attacks").await;
    let other = Client::register(&stack.url().replace("/demo/", "/other/"), "Attacks").await;
    let (token, others) = (client.login("ada").await.access_token, other.login("ada").await.access_token);
    assert_eq!(client.status(&token).await, StatusCode::OK);
    assert_eq!(other.status(&others).await, StatusCode::OK);
    stack.upstream().take();

    for (client, token) in [(&client, &others), (&other, &token)] {
        let refusal = client.call(token, "whoami", &json!({})).await;
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refusal.challenge("error"), "invalid_token");
    }
    assert!(stack.upstream().take().is_empty());
}

#[tokio::test]
async fn t25_the_mcp_server_sees_our_identity_headers_and_no_others() {
    let stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Attacks").await;
    let token = client.login("grace").await.access_token;
    let request = call(&stack)
        .header("authorization", &format!("Bearer {token}"))
        .header("x-portcullis-subject", "root")
        .header("X-Portcullis-Admin", "yes")
        .header("x-forwarded-user", "root");
    assert_eq!(send(&stack, request).await.status, 200);

    let seen = &stack.upstream().take()[0].headers;
    assert_eq!(seen["x-portcullis-subject"], "grace");
    assert_eq!(seen["x-portcullis-email"], "grace@example.com");
    assert_eq!(seen["x-portcullis-server"], "demo");
    assert_eq!(seen["x-portcullis-client"], client.client_id.as_str());
    assert_eq!(seen["x-portcullis-scopes"], "openid email");
    assert_eq!(seen.get_all("x-portcullis-subject").iter().count(), 1);
    assert!(!seen.contains_key("x-portcullis-admin") && !seen.contains_key("x-forwarded-user"));
    let credential = seen["authorization"].to_str().unwrap();
    assert!(credential.starts_with("Bearer ") && !credential.contains("pcl_"), "{credential}");
}

#[tokio::test]
async fn t14_forged_hosts_change_no_url_that_is_emitted() {
    let stack = Stack::builder().start().await;
    let authority = stack.origin().replace("http://", "");
    let plain = |target: &str| Request::new("GET", target).to(&authority);
    for target in [
        "/.well-known/oauth-protected-resource/demo/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/demo/mcp/.well-known/openid-configuration",
    ] {
        let honest = plain(target).send(stack.addresses().edge).await;
        assert_eq!(honest.status, 200, "{target}");
        let forged = plain(target)
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("forwarded", "host=evil.example;proto=https")
            .header("x-portcullis-origin", "https://evil.example");
        assert_eq!(forged.send(stack.addresses().edge).await.body, honest.body, "{target}");
        let misdirected = Request::new("GET", target).to("evil.example").send(stack.addresses().edge).await;
        assert_eq!(misdirected.status, 421, "{target}");
    }
    let challenge = send(&stack, call(&stack).header("x-forwarded-host", "evil.example")).await;
    assert!(challenge.header("www-authenticate").unwrap().contains(&stack.origin()));
}

#[tokio::test]
async fn t29_an_open_event_stream_of_a_revoked_token_ends_within_the_routes_bound() {
    const BOUND: Duration = Duration::from_secs(4);
    let stack = Stack::builder().stream(BOUND).start().await;
    let client = Client::register(stack.url(), "Attacks").await;
    let token = client.login("ada").await.access_token;
    let request = Request::new("GET", "/demo/mcp")
        .to(&stack.origin().replace("http://", ""))
        .header("accept", "text/event-stream")
        .header("authorization", &format!("Bearer {token}"));
    let (opened, edge) = (Instant::now(), stack.addresses().edge);
    let stream = tokio::spawn(async move { request.send(edge).await });
    let arrived = async {
        while stack.upstream().take().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, arrived).await.expect("the request reaches the MCP server");
    assert_eq!(client.revoke(&token).await.status, StatusCode::OK);
    let refused = async {
        while bearer(&stack, &token).await.status != 401 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, refused).await.expect("the token is refused from now on");
    assert!(!stream.is_finished(), "the stream has ended before the test has shown anything");
    let response = stream.await.unwrap();
    assert!(response.status == 200 && response.body.contains("data: tick"), "{response:?}");
    // Envoy tells the time in whole milliseconds, and not anew for each timer.
    let lasted = opened.elapsed();
    assert!(lasted >= BOUND * 9 / 10 && lasted < 2 * BOUND, "{lasted:?}");
}

#[tokio::test]
async fn t17_a_flood_of_registrations_is_slowed_and_pushes_out_its_own_and_known_clients_work_meanwhile() {
    let limit = |config: &mut Value| config["limits"] = json!({ "unused_clients": 5 });
    let stack = Stack::builder().configure(move |config, _| limit(config)).start().await;
    let client = Client::register(stack.url(), "Attacks").await;
    let tokens = client.login("ada").await;
    let metadata = json!({ "redirect_uris": ["https://flood.example/cb"] }).to_string();
    let mut statuses = Vec::new();
    for _ in 0..80 {
        let request = Request::new("POST", "/register")
            .to(&stack.origin().replace("http://", ""))
            .header("content-type", "application/json")
            .body(metadata.clone());
        statuses.push(request.send(stack.addresses().edge).await.status);
    }
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert!(count(201) > 5 && count(429) > 0 && count(201) + count(429) == 80, "{statuses:?}");
    let kept = String::from_utf8(stack.cli(&["clients", "list"]).await.stdout).unwrap();
    assert_eq!(kept.lines().filter(|line| line.contains(&client.client_id)).count(), 1, "{kept}");
    assert!(kept.lines().count() <= 5 + 2, "{kept}");

    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    assert_eq!(client.refresh(&tokens.refresh_token).await.status, StatusCode::OK);
    let again = client.login("grace").await;
    assert_eq!(client.status(&again.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn t28_a_browser_may_read_what_authz_says() {
    const ORIGIN: &str = "https://app.example.com";
    let allow = |config: &mut Value| config["edge"]["allowed_origins"] = json!([ORIGIN]);
    let stack = Stack::builder().configure(move |config, _| allow(config)).start().await;
    let response = send(&stack, call(&stack).header("origin", ORIGIN)).await;
    assert_eq!(response.status, 401);
    assert_eq!(response.header("access-control-allow-origin"), Some(ORIGIN));
    let exposed = response.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
    assert!(exposed.contains("www-authenticate"), "{exposed}");
}

//! Chromium: cookies, Content-Security-Policy and redirects as a real browser understands them.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what fails here fails the test")]

use axum::Router;
use http::StatusCode;
use portcullis_tests::binaries::root;
use portcullis_tests::client::{Authorization, Client};
use portcullis_tests::programs::free_addresses;
use portcullis_tests::scripts::node;
use portcullis_tests::stack::{Provider, Stack};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A client whose redirect URI is on a free port: any will do on loopback (RFC 8252 section 7.3).
async fn client(stack: &Stack) -> Client {
    let mut client = Client::register(stack.url(), "Browser test").await;
    let Ok([address]) = free_addresses() else { panic!("no free port") };
    client.redirect_uri = format!("http://{address}/callback");
    client
}

/// Says of every token that it is good.
async fn check_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(async || "")).await });
    url
}

async fn visit(client: &Client, request: &Authorization, decision: &str, screenshots: &str) -> Value {
    visit_and(client, request, decision, screenshots, &[]).await
}

async fn visit_and(
    client: &Client,
    request: &Authorization,
    decision: &str,
    screenshots: &str,
    more: &[&str],
) -> Value {
    let screenshots = root().join("target/screenshots").join(screenshots);
    let arguments = [
        "--url",
        request.url.as_str(),
        "--redirect-uri",
        &client.redirect_uri,
        "--decision",
        decision,
        "--screenshots",
        &screenshots.to_string_lossy(),
    ];
    // Fails on any console error, and Chromium tells there what a policy has stopped.
    node("browser.mjs", &[&arguments, more].concat()).await
}

#[tokio::test]
async fn approval_leads_through_the_login_back_to_the_client() {
    let stack = Stack::builder().start().await;
    let client = client(&stack).await;
    let request = client.authorization();
    let seen = visit(&client, &request, "approve", "approve").await;
    assert_eq!(seen["pages"], json!(["consent", "demo-login", "done"]));
    assert_eq!(seen["callback"]["state"], request.state);
    assert_eq!(seen["callback"]["iss"], stack.origin());
    let code = seen["callback"]["code"].as_str().unwrap();
    let tokens = client.redeem(&request, code).await.tokens();
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn approval_leads_through_another_providers_forms() {
    let stack = Stack::builder().provider(Provider::OidcProvider).start().await;
    let client = client(&stack).await;
    let request = client.authorization();
    let seen = visit(&client, &request, "approve", "oidc-provider").await;
    assert_eq!(seen["pages"], json!(["consent", "provider-login", "provider-consent", "done"]));
    let code = seen["callback"]["code"].as_str().unwrap();
    assert_eq!(client.redeem(&request, code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn denial_leads_back_to_the_client_without_a_login() {
    let stack = Stack::builder().start().await;
    let client = client(&stack).await;
    let request = client.authorization();
    let seen = visit(&client, &request, "deny", "deny").await;
    assert_eq!(seen["pages"], json!(["consent", "done"]));
    assert_eq!(seen["callback"]["error"], "access_denied");
    assert_eq!(seen["callback"]["state"], request.state);
    assert_eq!(seen["callback"]["iss"], stack.origin());
}

#[tokio::test]
async fn t28_a_page_of_an_allowed_origin_sends_every_header_that_mcp_has_and_others_send_none() {
    let Ok([allowed, foreign]) = free_addresses() else { panic!("no free port") };
    let (allowed, foreign) = (format!("http://{allowed}"), format!("http://{foreign}"));
    let origin = allowed.clone();
    let builder =
        Stack::builder().configure(move |config, _| config["edge"]["allowed_origins"] = json!([origin]));
    let stack = builder.start().await;
    let client = Client::register(stack.url(), "Browser test").await;
    let tokens = client.login("ada").await;
    let headers = json!({
        "authorization": format!("Bearer {}", tokens.access_token),
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "execute_sql",
        "mcp-param-region": "us-west1",
        "mcp-param-tenant": "=?base64?SGVsbG8sIOS4lueVjA==?=",
        "mcp-session-id": "s-1",
        "last-event-id": "7",
    });
    let call = async |origin: &str, headers: &Value| {
        let headers = headers.to_string();
        node("cross-origin.mjs", &["--origin", origin, "--url", stack.url(), "--headers", &headers]).await
    };
    stack.upstream().take();
    assert_eq!(call(&allowed, &headers).await["status"], 200);
    let requests = stack.upstream().take();
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    for (name, value) in headers.as_object().unwrap() {
        if name != "authorization" {
            assert_eq!(request.headers[name], value.as_str().unwrap(), "{name}");
        }
    }
    // What a client needs of a refusal can be read too.
    let refused = call(&allowed, &json!({ "mcp-param-region": "us-west1" })).await;
    assert_eq!(refused["status"], 401);
    assert!(refused["challenge"].as_str().unwrap().contains("resource_metadata="), "{refused}");

    assert_eq!(call(&foreign, &headers).await["error"], "TypeError");
    assert!(stack.upstream().take().is_empty());
}

#[tokio::test]
async fn a_token_is_given_replaced_and_the_session_logged_out() {
    let check_url = check_url().await;
    let credential = json!({ "user_token": {
        "label": "GitHub personal access token",
        "help_url": "https://github.com/settings/personal-access-tokens",
        "check_url": check_url,
    } });
    let configure = |config: &mut Value| config["servers"]["demo"]["credential"] = credential;
    let stack = Stack::builder().configure(move |config, _| configure(config)).start().await;
    let client = client(&stack).await;
    let request = client.authorization();
    let account = format!("{}/account", stack.origin());
    let more = ["--token", "a-token", "--account", &account];
    let seen = visit_and(&client, &request, "approve", "user-token", &more).await;
    // The session's cookie is `Strict`, and goes along nevertheless when the login leads back to the page.
    let pages = [
        "consent",
        "demo-login",
        "user-token",
        "done",
        "account-login",
        "demo-login",
        "account",
        "user-token",
        "account",
        "account-login",
    ];
    assert_eq!(seen["pages"], json!(pages));
    let code = seen["callback"]["code"].as_str().unwrap();
    let tokens = client.redeem(&request, code).await.tokens();
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    let requests = stack.upstream().take();
    assert_eq!(requests[0].headers["authorization"], "Bearer a-token");
}

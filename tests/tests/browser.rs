//! Chromium: cookies, Content-Security-Policy and redirects as a real browser understands them.

use http::StatusCode;
use portcullis_tests::binaries::root;
use portcullis_tests::client::{Authorization, Client};
use portcullis_tests::programs::free_addresses;
use portcullis_tests::scripts::node;
use portcullis_tests::stack::{Provider, Stack};
use serde_json::{Value, json};

/// A client whose redirect URI is on a free port: any will do on loopback (RFC 8252 section 7.3).
async fn client(stack: &Stack) -> Client {
    let mut client = Client::register(stack.url(), "Browser test").await;
    let Ok([address]) = free_addresses() else { panic!("no free port") };
    client.redirect_uri = format!("http://{address}/callback");
    client
}

async fn visit(client: &Client, request: &Authorization, decision: &str, screenshots: &str) -> Value {
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
    node("browser.mjs", &arguments).await
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

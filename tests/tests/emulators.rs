//! Logins at GitHub and Google, as emulators that others have made know them.

use http::StatusCode;
use portcullis_tests::client::{Browser, Client, Visit};
use portcullis_tests::stack::{Builder, Provider, Recorded, Stack};
use serde_json::{Value, json};

async fn stack(provider: Provider) -> (Stack, Client) {
    stack_of(Stack::builder().provider(provider)).await
}

/// A stack whose server lets in by these rules.
async fn letting_in(provider: Provider, rules: Value) -> (Stack, Client) {
    let builder = Stack::builder().provider(provider).configure(move |config, _| {
        config["servers"]["demo"]["allow"] = rules;
        // What the provider itself does not let in, no rule would see.
        config["providers"]["corp"].as_object_mut().map(|corp| corp.remove("hosted_domain"));
    });
    stack_of(builder).await
}

async fn stack_of(builder: Builder) -> (Stack, Client) {
    let stack = builder.start().await;
    let client = Client::register(stack.url(), "Emulators").await;
    (stack, client)
}

/// The one request that has reached the MCP server since the last time, in the name of this user.
async fn call(stack: &Stack, client: &Client, user: &str) -> Recorded {
    stack.upstream().take();
    let tokens = client.login(user).await;
    let answer = client.call(&tokens.access_token, "whoami", &json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let mut requests = stack.upstream().take();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

/// What a login brings whom the provider or the rules do not let in.
async fn assert_refused(client: &Client, user: &str) {
    let authorization = client.authorization();
    let visit = Visit::approve(user);
    let callback = Browser::new().visit(&authorization.url, &client.redirect_uri, visit).await;
    assert_eq!(callback.get("error").map(String::as_str), Some("access_denied"), "{callback:?}");
    assert_eq!(callback.get("iss"), Some(&client.metadata.issuer));
}

fn header<'a>(request: &'a Recorded, name: &str) -> &'a str {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn github_users_are_their_number_and_the_mcp_server_gets_githubs_token() {
    let (stack, client) = stack(Provider::GitHub).await;
    let request = call(&stack, &client, "ada").await;
    assert!(header(&request, "authorization").starts_with("Bearer gho_"), "{request:?}");
    let subject = header(&request, "x-portcullis-subject");
    assert!(!subject.is_empty() && subject.bytes().all(|byte| byte.is_ascii_digit()), "{subject}");
    assert_eq!(header(&request, "x-portcullis-email"), "ada@example.com");

    // A second login is the same user.
    let again = call(&stack, &client, "ada").await;
    assert_eq!(header(&again, "x-portcullis-subject"), subject);
}

#[tokio::test]
async fn google_users_of_the_hosted_domain_may_log_in_and_others_not() {
    let (stack, client) = stack(Provider::Google).await;
    let request = call(&stack, &client, "ada@example.com").await;
    assert_eq!(header(&request, "x-portcullis-email"), "ada@example.com");
    assert!(header(&request, "authorization").starts_with("Bearer "), "{request:?}");

    assert_refused(&client, "eve@gmail.com").await;
    assert_eq!(stack.grants().await.len(), 1, "ada's");
}

#[tokio::test]
async fn rules_ask_google_for_the_hosted_domain_and_an_address_in_it() {
    let rules = json!([{ "organization": "example.com", "email_domain": "example.com" }]);
    let (stack, client) = letting_in(Provider::Google, rules).await;
    call(&stack, &client, "ada@example.com").await;
    assert_refused(&client, "eve@gmail.com").await;
}

#[tokio::test]
async fn rules_ask_github_for_the_verified_address_and_for_memberships() {
    // The emulator does not have the page of memberships; it answers as GitHub does about others' organizations.
    let rules = json!([{ "organization": "acme" }, { "email_domain": "example.com" }]);
    let (stack, client) = letting_in(Provider::GitHub, rules).await;
    call(&stack, &client, "ada").await;
    assert_refused(&client, "eve").await;
}

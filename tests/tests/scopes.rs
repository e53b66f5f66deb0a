//! Scopes through the edge: what a client asks for, what it is granted, what it can do with that, and how it comes to
//! more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says why")]

use http::StatusCode;
use portcullis_tests::client::{Browser, Callback, Client, Tokens, Visit};
use portcullis_tests::stack::Stack;
use serde_json::json;

/// A server with three scopes; every request to it needs one of them.
async fn stack() -> Stack {
    let builder = Stack::builder().configure(|config, _| {
        let server = &mut config["servers"]["demo"];
        server["scopes"] = json!(["openid", "profile", "email"]);
        server["required_scopes"] = json!(["email"]);
    });
    builder.start().await
}

/// A login that asks for these scopes, or names none.
async fn login(client: &Client, scope: Option<&str>) -> Tokens {
    let mut authorization = client.authorization();
    if let Some(scope) = scope {
        authorization.url.query_pairs_mut().append_pair("scope", scope);
    }
    let visit = Visit::approve("ada");
    let callback = Browser::new().visit(&authorization.url, &client.redirect_uri, visit).await;
    client.redeem(&authorization, &callback["code"]).await.tokens()
}

async fn refused(client: &Client, scope: &str) -> Callback {
    let mut authorization = client.authorization();
    authorization.url.query_pairs_mut().append_pair("scope", scope);
    Browser::new().visit(&authorization.url, &client.redirect_uri, Visit::approve("ada")).await
}

/// What the MCP server is told of the token.
async fn scopes_at_the_server(stack: &Stack, client: &Client, tokens: &Tokens) -> String {
    stack.upstream().take();
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    stack.upstream().take()[0].headers["x-portcullis-scopes"].to_str().unwrap().to_owned()
}

/// As a client of MCP 2025-11-25 does it: asks for what the challenge names, and for nothing else.
#[tokio::test]
async fn a_step_up_to_what_the_challenge_names_keeps_what_was_granted() {
    let stack = stack().await;
    let client = Client::register(stack.url(), "Step-up").await;
    let few = login(&client, Some("profile")).await;
    assert_eq!(few.scope.as_deref(), Some("profile"));
    let refusal = client.call(&few.access_token, "whoami", &json!({})).await;
    assert_eq!(refusal.status, StatusCode::FORBIDDEN);
    assert_eq!(refusal.challenge("error"), "insufficient_scope");
    assert_eq!(refusal.challenge("scope"), "profile email");
    assert!(stack.upstream().take().is_empty());

    let more = login(&client, Some(&refusal.challenge("scope"))).await;
    assert_eq!(more.scope.as_deref(), Some("profile email"));
    assert_eq!(scopes_at_the_server(&stack, &client, &more).await, "profile email");

    // It is a grant of its own: the one before has neither grown nor ended.
    assert_eq!(stack.grants().await.len(), 2);
    let few = client.refresh(&few.refresh_token).await.tokens();
    assert_eq!(few.scope.as_deref(), Some("profile"));
    assert_eq!(client.status(&few.access_token).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_login_without_scope_asks_for_all_and_one_with_foreign_scopes_gets_the_others() {
    let stack = stack().await;
    let client = Client::register(stack.url(), "Defaults").await;
    let all = login(&client, None).await;
    assert_eq!(all.scope.as_deref(), Some("openid profile email"));
    assert_eq!(scopes_at_the_server(&stack, &client, &all).await, "openid profile email");

    // There is a refresh token either way, and no scope for it.
    let offline = login(&client, Some("email offline_access")).await;
    assert_eq!(offline.scope.as_deref(), Some("email"));
    assert_eq!(client.refresh(&offline.refresh_token).await.tokens().scope.as_deref(), Some("email"));
    assert_eq!(refused(&client, "offline_access").await["error"], "invalid_scope");
    let challenge = client.call("", "whoami", &json!({})).await.challenge("scope");
    assert_eq!(challenge, "openid profile email");
}

#[tokio::test]
async fn fewer_scopes_on_refresh_are_for_that_access_token_alone() {
    let stack = stack().await;
    let client = Client::register(stack.url(), "Narrower").await;
    let first = login(&client, Some("openid email")).await;
    let refresh = async |token: &str, scope: &str| {
        let parameters = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        client.token(&parameters).await
    };
    // Less than every request needs.
    let narrow = refresh(&first.refresh_token, "openid").await.tokens();
    assert_eq!(narrow.scope.as_deref(), Some("openid"));
    let refusal = client.call(&narrow.access_token, "whoami", &json!({})).await;
    assert_eq!(
        (refusal.status, refusal.challenge("scope").as_str()),
        (StatusCode::FORBIDDEN, "openid email")
    );
    // More than was granted, though the server has it.
    let more = refresh(&narrow.refresh_token, "openid profile email").await;
    assert_eq!(
        (more.status, more.json()["error"].as_str()),
        (StatusCode::BAD_REQUEST, Some("invalid_scope"))
    );

    let enough = refresh(&narrow.refresh_token, "email").await.tokens();
    assert_eq!(scopes_at_the_server(&stack, &client, &enough).await, "email");
    let again = client.refresh(&enough.refresh_token).await.tokens();
    assert_eq!(again.scope.as_deref(), Some("openid email"));
    assert_eq!(scopes_at_the_server(&stack, &client, &again).await, "openid email");
}

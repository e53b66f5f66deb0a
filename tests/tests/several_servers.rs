//! Two servers at one origin, and clients of MCP 2025-03-26, which do not say which one they mean: through the edge, and
//! in Chromium.

use http::StatusCode;
use portcullis_tests::binaries::root;
use portcullis_tests::client::{Authorization, Browser, Client, Visit};
use portcullis_tests::programs::free_addresses;
use portcullis_tests::scripts::node;
use portcullis_tests::stack::Stack;
use serde_json::json;
use url::Url;

/// `demo`, which needs `email`, and `reports`, which has another scope.
async fn stack() -> Stack {
    let builder = Stack::builder().configure(|config, addresses| {
        let mut reports = config["servers"]["demo"].clone();
        reports["url"] = format!("http://localhost:{}/reports/mcp", addresses.edge.port()).into();
        reports["scopes"] = json!(["openid", "reports:read"]);
        config["servers"]["reports"] = reports;
    });
    builder.start().await
}

fn reports(stack: &Stack) -> String {
    format!("{}/reports/mcp", stack.origin())
}

/// An authorization request without `resource`.
fn unnamed(client: &Client) -> Authorization {
    let mut authorization = client.authorization();
    let pairs: Vec<_> = authorization.url.query_pairs().into_owned().collect();
    let kept = pairs.iter().filter(|(name, _)| name != "resource");
    authorization.url.query_pairs_mut().clear().extend_pairs(kept);
    authorization
}

#[tokio::test]
async fn the_token_is_for_the_server_that_the_user_has_chosen() {
    let stack = stack().await;
    let mut client = Client::register(stack.url(), "Old client").await;
    let authorization = unnamed(&client);
    let visit = Visit::approve("ada").choosing("reports");
    let callback = Browser::new().visit(&authorization.url, &client.redirect_uri, visit).await;
    assert_eq!(callback["state"], authorization.state);
    let parameters = [
        ("grant_type", "authorization_code"),
        ("code", &callback["code"]),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", &authorization.verifier),
    ];
    let tokens = client.token(&parameters).await.tokens();
    assert_eq!(tokens.scope.as_deref(), Some("openid reports:read"));
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::UNAUTHORIZED, "it is not for demo");
    client.resource = reports(&stack);
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    assert_eq!(stack.upstream().take().pop().unwrap().headers["x-portcullis-server"], "reports");
    let refreshed = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
    let refreshed = client.token(&refreshed).await.tokens();
    assert_eq!(client.status(&refreshed.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn without_a_choice_the_question_comes_again_and_nothing_is_granted() {
    let stack = stack().await;
    let client = Client::register(stack.url(), "Old client").await;
    let (browser, authorization) = (Browser::new(), unnamed(&client));
    let asked = browser.open(&authorization.url).await;
    assert_eq!(asked.status, StatusCode::OK);
    let consent = Url::parse(&format!("{}/consent", stack.origin())).unwrap();
    let (request, csrf) = (asked.field("request"), asked.field("csrf"));
    let form = [("request", request.as_str()), ("csrf", csrf.as_str()), ("decision", "choose")];
    let again = browser.submit(&consent, &form).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.body.contains("Choose one of the servers first.") && again.body.contains(&reports(&stack)));
    let chosen = [&form[..], &[("server", "reports")]].concat();
    let elsewhere = browser.submit_from_elsewhere(&consent, &chosen).await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN);
    let page = browser.submit(&consent, &chosen).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("reports:read") && !page.body.contains(stack.url()), "{}", page.body);
    assert!(stack.grants().await.is_empty());
}

#[tokio::test]
async fn chromium_asks_which_server_is_meant_on_a_desk_and_on_a_phone() {
    let stack = stack().await;
    let mut client = Client::register(stack.url(), "Old client").await;
    for width in ["1000", "320"] {
        let Ok([address]) = free_addresses() else { panic!("no free port") };
        client.redirect_uri = format!("http://{address}/callback");
        let authorization = unnamed(&client);
        let screenshots = root().join(format!("target/screenshots/server-choice-{width}"));
        let arguments = [
            "--url",
            authorization.url.as_str(),
            "--redirect-uri",
            &client.redirect_uri,
            "--server",
            "reports",
            "--width",
            width,
            "--screenshots",
            &screenshots.to_string_lossy(),
        ];
        let seen = node("browser.mjs", &arguments).await;
        assert_eq!(seen["pages"], json!(["server-choice", "consent", "demo-login", "done"]));
        assert_eq!(seen["callback"]["state"], authorization.state);
        let code = seen["callback"]["code"].as_str().unwrap();
        let mut client = client.clone();
        client.resource = reports(&stack);
        let tokens = client.redeem(&authorization, code).await.tokens();
        assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    }
}

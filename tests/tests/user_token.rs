//! Tokens of users' own, end to end: asked for at the first login, seen by the MCP server, replaced and removed on
//! the account page.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what fails here fails the test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use portcullis_tests::client::{Account, Answer, Browser, Client, Failure, Tokens, Visit};
use portcullis_tests::stack::{Part, Stack};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use url::Url;

const OLD: &str = "s3cr3t-good-old";
const NEW: &str = "s3cr3t-good-new";
const BAD: &str = "s3cr3t-bad";

/// How long something may take to show at the edge.
const MOMENT: Duration = Duration::from_secs(5);

/// Every `Authorization` that has been asked about.
type Asked = Arc<Mutex<Vec<String>>>;

/// What knows whether a token is good: those that say so are.
async fn check(State(asked): State<Asked>, headers: HeaderMap) -> StatusCode {
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let token = token.unwrap_or_default();
    let good = token.contains("good");
    asked.lock().unwrap().push(token);
    if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

fn credential(check_url: &str) -> Value {
    json!({ "user_token": { "label": "Access key", "help_url": "http://localhost:1/keys", "check_url": check_url } })
}

/// A stack whose server wants a token, and what has been asked about such tokens.
async fn start() -> (Stack, Asked) {
    let asked = Asked::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/me", listener.local_addr().unwrap());
    let router = Router::new().fallback(check).with_state(asked.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let configure = move |config: &mut Value| config["servers"]["demo"]["credential"] = credential(&url);
    (Stack::builder().configure(move |config, _| configure(config)).start().await, asked)
}

/// A login with a token at hand.
async fn log_in(client: &Client, token: Option<&str>) -> Tokens {
    let authorization = client.authorization();
    let visit = Visit::approve("ada");
    let visit = token.map_or(visit, |token| visit.with_token(token));
    let callback = Browser::new().visit(&authorization.url, &client.redirect_uri, visit).await;
    client.redeem(&authorization, &callback["code"]).await.tokens()
}

/// The page that asks for a token, and the browser that it is in.
async fn asked_for_token(client: &Client) -> (Browser, Answer) {
    let browser = Browser::new();
    let url = client.authorization().url;
    match browser.attempt(&url, &client.redirect_uri, Visit::approve("ada")).await {
        Err(Failure::Answered { answer, .. }) => (browser, *answer),
        other => panic!("no page that asks for a token: {other:?}"),
    }
}

/// The credential that the MCP server sees in a call.
async fn seen(stack: &Stack, client: &Client, access_token: &str) -> String {
    stack.upstream().take();
    assert_eq!(client.status(access_token).await, StatusCode::OK);
    let requests = stack.upstream().take();
    requests[0].headers["authorization"].to_str().unwrap().to_owned()
}

async fn until_refused(client: &Client, access_token: &str) {
    let refused = async {
        while client.status(access_token).await != StatusCode::UNAUTHORIZED {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(MOMENT, refused).await.is_ok(), "the token is still accepted");
}

#[tokio::test]
async fn t18_the_first_login_asks_and_only_the_mcp_server_sees_the_token() {
    let (stack, asked) = start().await;
    let client = Client::register(stack.url(), "First").await;
    let (browser, page) = asked_for_token(&client).await;
    assert!(page.body.contains("Access key") && page.body.contains("ada@example.com"), "{}", page.body);
    let form = Url::parse(&format!("{}/user-token", stack.origin())).unwrap();
    let (id, csrf) = (page.field("id"), page.field("csrf"));
    let give = async |token| {
        let fields = [("id", id.as_str()), ("csrf", &csrf), ("token", token), ("decision", "approve")];
        browser.submit(&form, &fields).await
    };
    let refused = give(BAD).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.contains("was not accepted") && refused.field("id") == id, "{}", refused.body);
    assert_eq!(stack.grants().await.len(), 0);
    let accepted = give(OLD).await;
    assert_eq!(accepted.status, StatusCode::OK, "{}", accepted.body);
    assert_eq!(give(OLD).await.status, StatusCode::FORBIDDEN, "once");
    assert_eq!(*asked.lock().unwrap(), [format!("Bearer {BAD}"), format!("Bearer {OLD}")]);

    // The next login is another client's, and is not asked.
    let other = Client::register(stack.url(), "Second").await;
    let tokens = log_in(&other, None).await;
    assert_eq!(seen(&stack, &other, &tokens.access_token).await, format!("Bearer {OLD}"));
    let account = Account::log_in(&stack.origin(), "ada").await.page().await;
    for answer in [&page, &refused, &accepted, &account] {
        assert!(!answer.body.contains("s3cr3t"), "{}", answer.body);
    }
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge, Part::Provider] {
        let log = stack.log(part);
        assert!(!log.contains("s3cr3t") && !log.contains(&id), "{part:?}: {log}");
    }
    assert!(stack.log(Part::ControlPlane).contains("a token of the user's own is kept"));
}

#[tokio::test]
async fn a_replaced_token_reaches_the_mcp_server_at_once_and_nobody_logs_in_again() {
    let (stack, _asked) = start().await;
    let client = Client::register(stack.url(), "Replaced").await;
    let tokens = log_in(&client, Some(OLD)).await;
    assert_eq!(seen(&stack, &client, &tokens.access_token).await, format!("Bearer {OLD}"));
    let account = Account::log_in(&stack.origin(), "ada").await;
    let fields = |token| [("server", "demo"), ("decision", "approve"), ("token", token)];
    assert_eq!(account.press("replace", &fields(BAD)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(seen(&stack, &client, &tokens.access_token).await, format!("Bearer {OLD}"));
    assert_eq!(account.press("replace", &fields(NEW)).await.status, StatusCode::SEE_OTHER);
    until_refused(&client, &tokens.access_token).await;
    let next = client.refresh(&tokens.refresh_token).await.tokens();
    assert_eq!(seen(&stack, &client, &next.access_token).await, format!("Bearer {NEW}"));
}

#[tokio::test]
async fn t20_what_is_removed_or_disconnected_on_the_account_page_is_refused_at_the_edge() {
    let (stack, _asked) = start().await;
    let (one, other) =
        (Client::register(stack.url(), "One").await, Client::register(stack.url(), "Other").await);
    let (ones, others) = (log_in(&one, Some(OLD)).await, log_in(&other, None).await);
    assert_eq!(one.status(&ones.access_token).await, StatusCode::OK);
    assert_eq!(other.status(&others.access_token).await, StatusCode::OK);
    let account = Account::log_in(&stack.origin(), "ada").await;
    let grants = stack.grants().await;
    let grant = grants.iter().find(|grant| grant.client_name == "One").unwrap();
    assert_eq!(
        account.press("disconnect", &[("grant", &grant.grant_id)]).await.status,
        StatusCode::SEE_OTHER
    );
    until_refused(&one, &ones.access_token).await;
    assert_eq!(other.status(&others.access_token).await, StatusCode::OK);

    assert_eq!(account.press("remove", &[("server", "demo")]).await.status, StatusCode::SEE_OTHER);
    until_refused(&other, &others.access_token).await;
    assert_eq!(other.refresh(&others.refresh_token).await.json()["error"], "invalid_grant");
    assert!(account.page().await.body.contains("you are asked for it"));
    // The next login asks again.
    asked_for_token(&other).await;
}

#[tokio::test]
async fn t10_forms_that_are_not_from_here_change_nothing() {
    let (stack, asked) = start().await;
    let client = Client::register(stack.url(), "Victim").await;
    let (browser, page) = asked_for_token(&client).await;
    let form = Url::parse(&format!("{}/user-token", stack.origin())).unwrap();
    let (id, csrf) = (page.field("id"), page.field("csrf"));
    let fields = [("id", id.as_str()), ("csrf", &csrf), ("token", OLD), ("decision", "approve")];
    assert_eq!(browser.submit_from_elsewhere(&form, &fields).await.status, StatusCode::FORBIDDEN);
    let (another, _) = asked_for_token(&client).await;
    assert_eq!(another.submit(&form, &fields).await.status, StatusCode::FORBIDDEN);
    assert!(asked.lock().unwrap().is_empty() && stack.grants().await.is_empty());

    let tokens = log_in(&client, Some(OLD)).await;
    let account = Account::log_in(&stack.origin(), "ada").await;
    let eve = Account::log_in(&stack.origin(), "alan").await;
    let grant = stack.grants().await.remove(0).grant_id;
    let everything = [("grant", grant.as_str()), ("server", "demo"), ("token", NEW), ("decision", "approve")];
    for action in ["disconnect", "remove", "replace", "logout"] {
        let answer = account.press_from_elsewhere(action, &everything).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{action}");
        // Somebody else's session ends nothing of ada's.
        assert_eq!(eve.page().await.status, StatusCode::OK);
        if action != "logout" {
            eve.press(action, &everything).await;
        }
    }
    assert_eq!(seen(&stack, &client, &tokens.access_token).await, format!("Bearer {OLD}"));
}

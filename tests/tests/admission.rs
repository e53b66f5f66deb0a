//! Who may in at a server: asked at the login, and again after each refresh at the provider.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says why")]

use std::time::Duration;

use http::StatusCode;
use portcullis_tests::client::{Browser, Client, Visit};
use portcullis_tests::stack::{Builder, Part, Provider, Stack};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Shorter than what authz and the control plane renew ahead of: each use asks for the next.
const PROVIDER_TOKEN_SECONDS: u64 = 30;
/// How long a change at the provider may take to show at the edge.
const MOMENT: Duration = Duration::from_mins(1);

/// A stack whose server lets in by these rules.
fn letting_in(rules: Value) -> Builder {
    Stack::builder().configure(move |config, _| config["servers"]["demo"]["allow"] = rules)
}

/// The provider puts a user into these groups.
async fn regroup(stack: &Stack, user: &str, groups: &str) {
    let url = format!("http://{}/groups", stack.addresses().provider);
    let form = format!("user={user}&groups={groups}");
    let request = reqwest::Client::new().post(url).body(form);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
}

/// What a login brings whom the rules do not let in.
async fn assert_refused(client: &Client, user: &str) {
    let authorization = client.authorization();
    let visit = Visit::approve(user);
    let callback = Browser::new().visit(&authorization.url, &client.redirect_uri, visit).await;
    assert_eq!(callback.get("error").map(String::as_str), Some("access_denied"), "{callback:?}");
    assert_eq!(callback.get("iss"), Some(&client.metadata.issuer));
    assert_eq!(callback.get("state"), Some(&authorization.state));
}

/// The control plane's metric.
async fn refreshes(stack: &Stack, outcome: &str) -> u64 {
    let text = reqwest::get(format!("http://{}/metrics", stack.addresses().ops)).await.unwrap();
    let line = format!("portcullis_provider_refreshes_total{{outcome=\"{outcome}\"}} ");
    let text = text.text().await.unwrap();
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn whom_no_rule_lets_in_is_refused_at_the_login() {
    let stack = letting_in(json!([{ "claim": "groups", "value": "mcp-users" }])).start().await;
    let client = Client::register(stack.url(), "Admission").await;
    for user in ["ada", "grace"] {
        let tokens = client.login(user).await;
        assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK, "{user}");
    }
    assert_refused(&client, "alan").await;
    assert_eq!(stack.grants().await.len(), 2, "ada's and grace's");
    let log = stack.log(Part::ControlPlane);
    assert!(log.contains("no rule of the server lets the user in") && !log.contains("mcp-users"), "{log}");

    // Whoever joins may in from then on.
    regroup(&stack, "alan", "mcp-users").await;
    let tokens = client.login("alan").await;
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn a_membership_that_is_withdrawn_ends_at_the_next_refresh_and_others_go_on() {
    let stack =
        letting_in(json!([{ "email_domain": "example.com", "claim": "groups", "value": "mcp-users" }]))
            .provider_token_seconds(PROVIDER_TOKEN_SECONDS)
            .start()
            .await;
    let client = Client::register(stack.url(), "Admission").await;
    let (ada, grace) = (client.login("ada").await, client.login("grace").await);
    for tokens in [&ada, &grace] {
        assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    }

    regroup(&stack, "ada", "admins").await;
    let began = Instant::now();
    loop {
        match client.status(&ada.access_token).await {
            StatusCode::UNAUTHORIZED => break,
            // A refresh may be waited for.
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {}
            other => panic!("{other}"),
        }
        assert!(began.elapsed() < MOMENT, "she is still let in");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.refresh(&ada.refresh_token).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(refreshes(&stack, "not_allowed").await, 1);
    assert_refused(&client, "ada").await;

    assert_eq!(client.status(&grace.access_token).await, StatusCode::OK);
    assert!(refreshes(&stack, "refreshed").await > 0, "she has been asked about too");
    assert_eq!(stack.grants().await.len(), 1);
    assert!(stack.log(Part::ControlPlane).contains("the user may not in any more"));
}

#[tokio::test]
async fn what_oidc_provider_answers_to_a_refresh_proves_who_the_user_is() {
    let rules = json!([{ "email_domain": "example.com", "subject": "ada" }]);
    let provider = Provider::OidcProvider;
    let builder = letting_in(rules).provider(provider).provider_token_seconds(PROVIDER_TOKEN_SECONDS);
    let stack = builder.start().await;
    let client = Client::register(stack.url(), "Admission").await;
    assert_refused(&client, "grace").await;
    let tokens = client.login("ada").await;
    let began = Instant::now();
    while refreshes(&stack, "refreshed").await < 2 {
        assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
        assert!(began.elapsed() < MOMENT, "it is not refreshed");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((refreshes(&stack, "failed").await, refreshes(&stack, "not_allowed").await), (0, 0));
}

//! A part is gone: what still works, what waits, and that everything goes on once the part is back.

use std::time::Duration;

use http::StatusCode;
use portcullis_tests::client::{Answer, Browser, Client, Visit};
use portcullis_tests::stack::{Part, Stack};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

/// How long a part that is back may take to be found.
const FOUND: Duration = Duration::from_secs(15);

async fn whoami(client: &Client, token: &str) -> Answer {
    client.call(token, "whoami", &json!({})).await
}

/// "Come again", and nothing that would make a client log in anew.
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert!(!answer.headers.contains_key("www-authenticate"), "{answer:?}");
}

#[tokio::test]
async fn t33_without_the_control_plane_known_tokens_work_and_new_ones_wait() {
    let mut stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Outage").await;
    let (known, new) = (client.login("ada").await.access_token, client.login("ada").await.access_token);
    assert_eq!(client.status(&known).await, StatusCode::OK);

    stack.kill(Part::ControlPlane).await;
    assert_eq!(client.status(&known).await, StatusCode::OK);
    assert_unavailable(&whoami(&client, &new).await);

    stack.start(Part::ControlPlane).await;
    let served = async {
        while client.status(&new).await != StatusCode::OK {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(FOUND, served).await.expect("the new token is served again");
}

/// First authz says so itself, and then Envoy, which has no healthy instance any more.
#[tokio::test]
async fn t33_beyond_max_staleness_the_edge_says_come_again_until_the_control_plane_is_back() {
    const STALE: Duration = Duration::from_secs(2);
    let stale = |settings: &mut serde_json::Value| settings["max_staleness"] = json!("2s");
    let mut stack = Stack::builder().configure_authz(move |_, settings| stale(settings)).start().await;
    let client = Client::register(stack.url(), "Outage").await;
    let known = client.login("ada").await.access_token;
    assert_eq!(client.status(&known).await, StatusCode::OK);

    let killed = Instant::now();
    stack.kill(Part::ControlPlane).await;
    let mut answer = whoami(&client, &known).await;
    assert_eq!(answer.status, StatusCode::OK);
    while answer.status == StatusCode::OK {
        assert!(killed.elapsed() < STALE * 3, "it is still decided by what is known");
        sleep(Duration::from_millis(20)).await;
        answer = whoami(&client, &known).await;
    }
    let stopped = Instant::now();
    while stopped.elapsed() < STALE {
        assert_unavailable(&answer);
        sleep(Duration::from_millis(20)).await;
        answer = whoami(&client, &known).await;
    }

    stack.start(Part::ControlPlane).await;
    let started = Instant::now();
    loop {
        let answer = whoami(&client, &known).await;
        if answer.status == StatusCode::OK {
            break;
        }
        assert_unavailable(&answer);
        assert!(started.elapsed() < FOUND, "the token is not served again");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn t35_a_provider_that_dies_after_the_approval_gets_a_page_with_a_way_back_and_nothing_stays() {
    let mut stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Outage").await;
    let (authorization, browser) = (client.authorization(), Browser::new());
    let callback = format!("{}/callback", stack.origin());
    let brought = browser.visit(&authorization.url, &callback, Visit::approve("ada")).await;
    assert!(brought.contains_key("code"), "{brought:?}");
    stack.kill(Part::Provider).await;

    let back = Url::parse_with_params(&callback, &brought).unwrap();
    let page = browser.open(&back).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY, "{page:?}");
    assert!(page.body.contains("Back to Outage"), "{page:?}");
    assert!(page.body.contains("error=temporarily_unavailable"), "{page:?}");
    assert!(stack.grants().await.is_empty());

    stack.start(Part::Provider).await;
    // What was approved is used up.
    assert_eq!(browser.open(&back).await.status, StatusCode::FORBIDDEN);
    assert!(stack.grants().await.is_empty());
    client.login("ada").await;
    assert_eq!(stack.grants().await.len(), 1);
}

//! What is revoked is dead, nothing else is, and it stays dead whatever restarts.

use std::time::Duration;

use http::StatusCode;
use portcullis_proto::v1::SubjectScope;
use portcullis_proto::v1::scope::Kind;
use portcullis_tests::client::{Client, Tokens};
use portcullis_tests::stack::{Part, Stack};
use tokio::time::{sleep, timeout};

/// How long a revocation or a restart may take to show at the edge.
const MOMENT: Duration = Duration::from_secs(5);

async fn until_dead(client: &Client, access_token: &str) {
    let dead = async {
        while client.status(access_token).await != StatusCode::UNAUTHORIZED {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(MOMENT, dead).await.is_ok(), "the token is still accepted");
}

/// Until the edge has noticed that an authz instance is back, it answers 503. Never that the token is good.
async fn until_decided(client: &Client, revoked: &str) {
    let decided = async {
        loop {
            match client.status(revoked).await {
                StatusCode::SERVICE_UNAVAILABLE => sleep(Duration::from_millis(10)).await,
                status => return status,
            }
        }
    };
    assert_eq!(timeout(MOMENT, decided).await, Ok(StatusCode::UNAUTHORIZED));
}

async fn assert_alive(client: &Client, tokens: &Tokens) {
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
}

/// Neither token is good for anything.
async fn assert_dead(client: &Client, tokens: &Tokens) {
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::UNAUTHORIZED);
    let refresh = client.refresh(&tokens.refresh_token).await;
    assert_eq!(
        (refresh.status, refresh.json()["error"].as_str()),
        (StatusCode::BAD_REQUEST, Some("invalid_grant"))
    );
}

#[tokio::test]
async fn t20_a_revoked_access_token_is_dead_and_its_session_lives() {
    let stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Revocation").await;
    let tokens = client.login("ada").await;
    assert_alive(&client, &tokens).await;
    assert_eq!(client.revoke(&tokens.access_token).await.status, StatusCode::OK);
    until_dead(&client, &tokens.access_token).await;
    let next = client.refresh(&tokens.refresh_token).await.tokens();
    assert_alive(&client, &next).await;
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn t20_a_revoked_refresh_token_takes_its_session_with_it() {
    let stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Revocation").await;
    let (tokens, other_device) = (client.login("ada").await, client.login("ada").await);
    assert_alive(&client, &tokens).await;
    assert_eq!(client.revoke(&tokens.refresh_token).await.status, StatusCode::OK);
    until_dead(&client, &tokens.access_token).await;
    assert_dead(&client, &tokens).await;
    assert_alive(&client, &other_device).await;
}

#[tokio::test]
async fn t20_another_clients_revocation_changes_nothing() {
    let stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Victim").await;
    let attacker = Client::register(stack.url(), "Attacker").await;
    let tokens = client.login("ada").await;
    for token in [&tokens.access_token, &tokens.refresh_token] {
        assert_eq!(attacker.revoke(token).await.status, StatusCode::OK);
    }
    // What the attacker had done would be in force before this, which comes later in the same log.
    let own = attacker.login("grace").await;
    attacker.revoke(&own.refresh_token).await;
    until_dead(&attacker, &own.access_token).await;
    assert_alive(&client, &tokens).await;
    let next = client.refresh(&tokens.refresh_token).await.tokens();
    assert_alive(&client, &next).await;
}

#[tokio::test]
async fn t20_a_revoked_client_is_dead_and_others_live() {
    let stack = Stack::builder().start().await;
    let (one, two) = (Client::register(stack.url(), "One").await, Client::register(stack.url(), "Two").await);
    let (dead, alive) = (one.login("ada").await, two.login("ada").await);
    assert_alive(&one, &dead).await;
    let answer = stack.revoke(Kind::ClientId(one.client_id.clone())).await;
    assert_eq!((answer.instances, answer.applied), (1, 1));
    assert_dead(&one, &dead).await;
    assert_alive(&two, &alive).await;
}

#[tokio::test]
async fn t20_a_revoked_subject_is_dead_and_others_live_and_a_new_login_works() {
    let stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Revocation").await;
    let (ada, grace) = (client.login("ada").await, client.login("grace").await);
    assert_alive(&client, &ada).await;
    let subject = SubjectScope { provider: "corp".to_owned(), subject: "ada".to_owned() };
    stack.revoke(Kind::Subject(subject)).await;
    assert_dead(&client, &ada).await;
    assert_alive(&client, &grace).await;
    let again = client.login("ada").await;
    assert_alive(&client, &again).await;
}

#[tokio::test]
async fn t20_what_is_revoked_stays_dead_whatever_restarts() {
    let mut stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Revocation").await;
    let (dead, alive) = (client.login("ada").await, client.login("ada").await);
    assert_alive(&client, &dead).await;
    client.revoke(&dead.refresh_token).await;
    until_dead(&client, &dead.access_token).await;
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge, Part::Provider] {
        stack.kill(part).await;
        stack.start(part).await;
        until_decided(&client, &dead.access_token).await;
        assert_dead(&client, &dead).await;
        assert_alive(&client, &alive).await;
    }
}

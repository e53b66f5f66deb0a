//! What is revoked is dead, nothing else is, and it stays dead whatever restarts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use portcullis_proto::v1::SubjectScope;
use portcullis_proto::v1::scope::Kind;
use portcullis_tests::client::{Client, Tokens};
use portcullis_tests::stack::{Part, Stack};
use tokio::time::{sleep, timeout};

/// How long a revocation or a restart may take to show at the edge.
const MOMENT: Duration = Duration::from_secs(5);
/// How long authz may take to find the control plane again.
const RECONNECTED: Duration = Duration::from_secs(15);

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

/// Whatever it was revoked by.
#[tokio::test]
async fn t20_what_is_revoked_stays_dead_whatever_restarts() {
    let mut stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Revocation").await;
    let revoked_client = Client::register(stack.url(), "Revoked").await;
    let (of_grant, of_subject) = (client.login("grace").await, client.login("alan").await);
    let of_client = revoked_client.login("ada").await;
    let (of_access, of_refresh, alive) =
        (client.login("ada").await, client.login("ada").await, client.login("ada").await);
    let dead =
        [(&client, &of_refresh), (&client, &of_grant), (&client, &of_subject), (&revoked_client, &of_client)];
    for (client, tokens) in dead.into_iter().chain([(&client, &of_access), (&client, &alive)]) {
        assert_alive(client, tokens).await;
    }

    client.revoke(&of_access.access_token).await;
    client.revoke(&of_refresh.refresh_token).await;
    let grants = stack.grants().await;
    let grant = grants.iter().find(|grant| grant.subject == "grace").unwrap();
    stack.revoke(Kind::GrantId(grant.grant_id.clone())).await;
    stack.revoke(Kind::ClientId(revoked_client.client_id.clone())).await;
    let subject = SubjectScope { provider: "corp".to_owned(), subject: "alan".to_owned() };
    stack.revoke(Kind::Subject(subject)).await;
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge, Part::Provider] {
        stack.kill(part).await;
        stack.start(part).await;
        until_decided(&client, &of_refresh.access_token).await;
        assert_eq!(client.status(&of_access.access_token).await, StatusCode::UNAUTHORIZED, "{part:?}");
        for (client, tokens) in dead {
            assert_dead(client, tokens).await;
        }
        assert_alive(&client, &alive).await;
    }
}

/// Somebody puts back a copy of the control plane's store that is older than what authz knows.
#[tokio::test]
async fn t32_an_older_store_that_is_put_back_makes_authz_start_over_and_ask() {
    let mut stack = Stack::builder().start().await;
    let client = Client::register(stack.url(), "Revocation").await;
    let (before, revoked) = (client.login("ada").await, client.login("grace").await);
    assert_alive(&client, &before).await;
    let subject = |subject: &str| {
        Kind::Subject(SubjectScope { provider: "corp".to_owned(), subject: subject.to_owned() })
    };
    // Otherwise the log would be empty, and nothing in the copy would say which one it is.
    stack.revoke(subject("grace")).await;

    stack.stop(Part::ControlPlane).await;
    let store = stack.directory().join("data/control-plane");
    let copy = stack.directory().join("copy");
    replace(&store, &copy);
    stack.start(Part::ControlPlane).await;

    let after = client.login("ada").await;
    assert_alive(&client, &after).await;
    stack.revoke(subject("alan")).await;
    stack.stop(Part::ControlPlane).await;
    replace(&copy, &store);
    let starts = |stack: &Stack| stack.log(Part::Authz(0)).matches("starting over").count();
    let started = starts(&stack);
    stack.start(Part::ControlPlane).await;

    let again = async {
        while starts(&stack) == started {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(RECONNECTED, again).await.is_ok(), "authz goes on as if nothing had happened");
    // The record that authz had of it is not in the store that there is now.
    until_dead(&client, &after.access_token).await;
    assert_dead(&client, &after).await;
    assert_dead(&client, &revoked).await;
    assert_alive(&client, &before).await;
    let next = client.refresh(&before.refresh_token).await.tokens();
    assert_alive(&client, &next).await;
}

/// Puts a copy of one directory in another one's place.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says why")]
fn replace(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            replace(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

//! A full disk: nothing is acknowledged that is not kept, nobody is let in who should not be, the log says what
//! is wrong, and with space again everything is there.

use std::time::Duration;

use http::StatusCode;
use portcullis_tests::client::{Client, Tokens};
use portcullis_tests::stack::{Part, Stack};
use tokio::time::{Instant, sleep};

/// Room for a store that is nearly empty, in bytes.
const DISK: u64 = 64 << 20;
/// How long a full disk, and an instance that is gone, may take to show at the edge.
const MOMENT: Duration = Duration::from_secs(20);

/// The line that an operator looks for.
fn assert_says_why(stack: &Stack, part: Part, message: &str) {
    let log = stack.log(part);
    let why = |line: &&str| line.contains(message) && line.contains("No space left on device");
    let line = log.lines().find(why).unwrap_or_else(|| panic!("the log does not say why:\n{log}"));
    assert!(line.contains(r#""level":"ERROR""#) && line.contains("/data/"), "{line}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn t34_a_control_plane_on_a_full_disk_acknowledges_nothing_and_loses_nothing() {
    let mut stack = Stack::builder().small_disk(Part::ControlPlane, DISK).start().await;
    let client = Client::register(stack.url(), "Disk full").await;
    let (mut tokens, revoked) = (client.login("ada").await, client.login("ada").await);
    assert_eq!(client.revoke(&revoked.refresh_token).await.status, StatusCode::OK);
    stack.small_disk().fill();
    // There may be room for a few more in the store's last block.
    let deadline = Instant::now() + MOMENT;
    let refusal = loop {
        let answer = client.refresh(&tokens.refresh_token).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        tokens = answer.tokens();
        assert!(Instant::now() < deadline, "the disk is full, and it goes on");
    };
    assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refusal.body);
    assert_eq!(refusal.json()["error"], "temporarily_unavailable");
    // Nobody has heard of this one being revoked, so it is not.
    assert!(client.revoke(&tokens.refresh_token).await.status.is_server_error());
    stack.ended(Part::ControlPlane).await;
    assert_says_why(&stack, Part::ControlPlane, "the store has failed and is closed");

    // Without space it does not start, its last line says why, and that does no harm.
    stack.try_start(Part::ControlPlane).await.unwrap_err();
    let log = stack.log(Part::ControlPlane);
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("No space left on device") && last.contains("/data/control-plane"), "{last}");

    stack.small_disk().free();
    stack.start(Part::ControlPlane).await;
    let Tokens { refresh_token, .. } = client.refresh(&tokens.refresh_token).await.tokens();
    client.refresh(&refresh_token).await.tokens();
    assert_eq!(client.refresh(&revoked.refresh_token).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn t34_an_authz_on_a_full_disk_lets_nobody_in_who_was_revoked() {
    let mut stack = Stack::builder().small_disk(Part::Authz(0), DISK).start().await;
    let client = Client::register(stack.url(), "Disk full").await;
    let (revoked, alive) = (client.login("ada").await, client.login("ada").await);
    for tokens in [&revoked, &alive] {
        assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    }
    stack.small_disk().fill();
    assert_eq!(client.revoke(&revoked.refresh_token).await.status, StatusCode::OK);
    until(&client, &revoked, &[StatusCode::OK], &[StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE])
        .await;
    // Where the last block had room for that entry: until another has none.
    let deadline = Instant::now() + MOMENT;
    while client.status(&alive.access_token).await == StatusCode::OK {
        let another = client.login("ada").await;
        assert_eq!(client.revoke(&another.refresh_token).await.status, StatusCode::OK);
        assert_ne!(client.status(&revoked.access_token).await, StatusCode::OK);
        assert!(Instant::now() < deadline, "the disk is full, and it goes on");
    }
    stack.ended(Part::Authz(0)).await;
    assert_says_why(&stack, Part::Authz(0), "the store cannot be written: giving up");
    assert_eq!(client.status(&revoked.access_token).await, StatusCode::SERVICE_UNAVAILABLE);

    // What it keeps can be had again, so without space it begins anew, which makes some. And says so.
    stack.start(Part::Authz(0)).await;
    let log = stack.log(Part::Authz(0));
    let anew = |line: &str| line.contains("starting over") && line.contains("No space left on device");
    assert!(log.lines().any(anew), "{log}");
    assert_decides(&client, &revoked, &alive).await;
    stack.stop(Part::Authz(0)).await;
    stack.small_disk().free();
    stack.start(Part::Authz(0)).await;
    assert_decides(&client, &revoked, &alive).await;
}

/// The one is refused and the other let in, as soon as the edge knows that the instance is back.
async fn assert_decides(client: &Client, revoked: &Tokens, alive: &Tokens) {
    until(client, revoked, &[StatusCode::SERVICE_UNAVAILABLE], &[StatusCode::UNAUTHORIZED]).await;
    until(client, alive, &[StatusCode::SERVICE_UNAVAILABLE], &[StatusCode::OK]).await;
}

/// Asks until the answer is one of these; before that it may be one of those.
async fn until(client: &Client, tokens: &Tokens, before: &[StatusCode], then: &[StatusCode]) {
    let deadline = Instant::now() + MOMENT;
    loop {
        let status = client.status(&tokens.access_token).await;
        if then.contains(&status) {
            return;
        }
        assert!(before.contains(&status) && Instant::now() < deadline, "{status}");
        sleep(Duration::from_millis(10)).await;
    }
}

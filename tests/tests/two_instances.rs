//! Two authz instances behind one edge.

use http::StatusCode;
use portcullis_tests::client::Client;
use portcullis_tests::stack::Stack;

#[tokio::test]
async fn t20_a_grant_revoked_once_is_dead_at_both_instances() {
    let stack = Stack::builder().authz(2).start().await;
    let client = Client::register(stack.url(), "Two instances").await;
    let token = client.login("ada").await.access_token;
    assert_eq!(client.status(&token).await, StatusCode::OK);
    for instance in [0, 1] {
        assert_eq!(stack.check(instance, &token).await, StatusCode::OK, "instance {instance}");
    }

    let grants = stack.grants().await;
    assert_eq!(grants.len(), 1, "{grants:?}");
    let output = stack.cli(&["grants", "revoke", &grants[0].grant_id]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("effective on 2 of 2 instances"), "{output:?}");

    // At once: the answer says that both have it.
    for instance in [0, 1] {
        assert_eq!(stack.check(instance, &token).await, StatusCode::UNAUTHORIZED, "instance {instance}");
    }
    assert_eq!(client.status(&token).await, StatusCode::UNAUTHORIZED);
}

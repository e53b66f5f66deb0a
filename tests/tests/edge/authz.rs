//! Authz misbehaves. Without its explicit permission nothing reaches the MCP server, and the client gets 503.

use std::time::Duration;

use portcullis_tests::edge::{Answer, DENIAL, Fixture, Request, Response, ScriptedAuthz, UNLUCKY_CREDENTIAL};
use tokio::time::{Instant, sleep, timeout};

fn call(answer: Answer) -> Request {
    Request::new("POST", "/demo/mcp").token(answer)
}

fn assert_unavailable(response: &Response, case: &str) {
    assert_eq!(response.status, 503, "{case}: {response:?}");
    assert_eq!(response.header("retry-after"), Some("2"), "{case}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{case}");
    assert_eq!(response.header("www-authenticate"), None, "{case}");
    assert!(response.body.contains(r#"{"error":"temporarily_unavailable"}"#), "{case}: {response:?}");
}

async fn assert_held_back(answer: Answer) {
    let edge = Fixture::start().await;
    assert_unavailable(&edge.send(&call(answer)).await, &format!("{answer:?}"));
    assert!(edge.forwarded().is_empty(), "{answer:?} was forwarded");
    assert!(!edge.authz.take().is_empty(), "{answer:?}: authz was asked");
    // The same edge forwards what is allowed: it was the answer that held the request back.
    assert_eq!(edge.send(&call(Answer::Allow)).await.status, 200);
}

#[tokio::test]
async fn t26_an_empty_check_response_is_no_permission() {
    assert_held_back(Answer::Empty).await;
}

#[tokio::test]
async fn t26_status_ok_with_a_denied_response_is_no_permission() {
    assert_held_back(Answer::OkWithDenial).await;
}

#[tokio::test]
async fn t26_status_ok_without_a_decision_is_no_permission() {
    assert_held_back(Answer::OkWithoutDecision).await;
    assert_held_back(Answer::OkWithDecisionDeny).await;
}

#[tokio::test]
async fn t26_permission_that_leaves_the_proxy_token_in_place_does_not_forward_it() {
    assert_held_back(Answer::AllowKeepingToken).await;
}

/// One in a thousand long tokens has `pcl_` in it, in upper or lower case.
#[tokio::test]
async fn a_credential_that_happens_to_look_a_little_like_a_proxy_token_is_forwarded() {
    let edge = Fixture::start().await;
    assert_eq!(edge.send(&call(Answer::AllowUnlucky)).await.status, 200);
    assert_eq!(edge.forwarded()[0].header("authorization"), Some(UNLUCKY_CREDENTIAL));
}

#[tokio::test]
async fn t26_a_grpc_error_is_no_verdict() {
    assert_held_back(Answer::Error).await;
}

#[tokio::test]
async fn t26_authz_that_hangs_is_given_up_within_seconds() {
    let edge = Fixture::start().await;
    let sent = Instant::now();
    assert_unavailable(&edge.send(&call(Answer::Hang)).await, "hangs");
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn authz_may_write_no_header_but_its_own() {
    let edge = Fixture::start().await;
    assert_eq!(edge.send(&call(Answer::AllowWithForeignHeader)).await.status, 503);
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t26_authz_that_dies_refuses_everything_until_it_is_back() {
    let mut edge = Fixture::start().await;
    assert_eq!(edge.send(&call(Answer::Allow)).await.status, 200);
    let address = edge.authz.address();
    edge.authz.die().await;
    edge.forwarded();

    assert_unavailable(&edge.send(&call(Answer::Allow)).await, "just died");
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        assert_unavailable(&edge.send(&call(Answer::Allow)).await, "is dead");
    }
    assert!(edge.forwarded().is_empty());

    edge.authz = ScriptedAuthz::start_on(address).await;
    let deadline = Instant::now() + Duration::from_secs(15);
    while edge.send(&call(Answer::Allow)).await.status != 200 {
        assert!(Instant::now() < deadline, "Envoy does not find authz again");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn t26_authz_that_dies_during_a_check_gives_no_permission() {
    let mut edge = Fixture::start().await;
    let (request, address) = (call(Answer::Hang), edge.envoy.address());
    let answer = tokio::spawn(async move { request.send(address).await });
    let asked = async {
        while edge.authz.take().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(2), asked).await.expect("authz is asked");
    assert!(!answer.is_finished(), "Envoy has not waited for the verdict");
    edge.authz.die().await;
    assert_unavailable(&answer.await.unwrap(), "died during the check");
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t26_one_instance_that_dies_loses_no_request_of_the_other() {
    let mut second = ScriptedAuthz::start().await;
    let edge = Fixture::with(|edge| edge.authz.push(second.address().into())).await;
    for _ in 0..20 {
        assert_eq!(edge.send(&call(Answer::Allow)).await.status, 200);
    }
    assert!(!second.take().is_empty(), "both are asked");
    second.die().await;
    for _ in 0..50 {
        assert_eq!(edge.send(&call(Answer::Allow)).await.status, 200);
    }
}

#[tokio::test]
async fn t26_one_instance_that_hangs_loses_no_request_of_the_other() {
    let second = ScriptedAuthz::start().await;
    let edge = Fixture::with(|edge| edge.authz.push(second.address().into())).await;
    second.hang();
    for _ in 0..20 {
        assert_eq!(edge.send(&call(Answer::Allow)).await.status, 200);
    }
    assert!(!second.take().is_empty(), "both are asked");
}

#[tokio::test]
async fn a_verdict_of_authz_arrives_as_it_is() {
    let edge = Fixture::start().await;
    for (request, status, error) in [
        (Request::new("POST", "/demo/mcp"), 401, "invalid_token"),
        (call(Answer::Forbid), 403, "insufficient_scope"),
    ] {
        let response = edge.send(&request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("www-authenticate"), Some(format!("Bearer error=\"{error}\"").as_str()));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("retry-after"), None);
        assert_eq!(response.body, DENIAL);
    }
    let response = edge.send(&call(Answer::Unavailable)).await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("7")));
    assert!(edge.forwarded().is_empty());
}

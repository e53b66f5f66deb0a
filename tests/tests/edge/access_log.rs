//! What the access log tells.

use std::time::Duration;

use portcullis_tests::edge::{Answer, Fixture, REASON, Request};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// The access log, once it has so many lines.
async fn access_log(edge: &Fixture, lines: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while edge.envoy.access_log().lines().count() < lines {
        assert!(Instant::now() < deadline, "no access log");
        sleep(Duration::from_millis(20)).await;
    }
    edge.envoy.access_log().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn t18_the_access_log_tells_the_decision_and_no_secret() {
    let edge = Fixture::start().await;
    let session = "8e1f00a1-hush-4";
    let request = Request::new("POST", "/demo/mcp?access_token=hush-1").header("mcp-session-id", session);
    edge.send(&request.header("forwarded", "for=hush-5").token(Answer::Allow)).await;
    edge.send(&Request::new("POST", "/demo/mcp").token(Answer::Forbid)).await;
    edge.send(&Request::new("GET", "/callback?code=hush-2").header("cookie", "hush-3")).await;
    edge.send(&Request::new("POST", "/demo/mcp/pcl_at_hush-4").token(Answer::Forbid)).await;
    edge.send(&Request::new("POST", "/demo/mcp/pcl_at_hush-4")).await;
    edge.send(&Request::new("GET", "/pcl_at_hush-5")).await;

    let log = access_log(&edge, 6).await;
    let [allowed, forbidden, callback, in_path, refused_in_path, not_found] = &log[..] else {
        panic!("six records")
    };
    let log = edge.envoy.access_log();
    for secret in ["hush", "pcl_at_", "credential-of-the-provider"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    for (key, value) in [
        ("decision", "allow"),
        ("reason", ""),
        ("token_id", "token-1"),
        ("path", "/mcp"),
        ("mcp_session", "8e1f00a1"),
        ("route", "mcp_demo"),
    ] {
        assert_eq!(allowed[key], value, "{key}");
    }
    assert_eq!((&forbidden["decision"], &forbidden["status"]), (&"deny".into(), &403.into()));
    assert_eq!((&forbidden["reason"], &forbidden["token_id"]), (&REASON.into(), &"token-1".into()));
    assert_eq!((&callback["route"], &callback["path"]), (&"callback".into(), &"/callback".into()));
    assert_eq!((&in_path["path"], &in_path["method"]), (&Value::Null, &"POST".into()));
    assert_eq!((&refused_in_path["path"], &refused_in_path["decision"]), (&Value::Null, &"deny".into()));
    assert_eq!((&not_found["route"], &not_found["path"]), (&"not-found".into(), &Value::Null));
    for nobody_decided in [callback, in_path, not_found] {
        assert_eq!(nobody_decided.get("decision").or(nobody_decided.get("subject")), None);
    }
}

/// Whether an identity header tells it or metadata do, and never what a client says of itself.
#[tokio::test]
async fn t25_the_access_log_tells_who_asked() {
    let edge = Fixture::start().await;
    let spoofed = |answer: Answer| {
        let names = ["subject", "client", "server", "provider", "grant"];
        let request = Request::new("POST", "/demo/mcp").token(answer);
        names.iter().fold(request, |request, name| request.header(&format!("x-portcullis-{name}"), "mallory"))
    };
    for answer in [Answer::Allow, Answer::AllowAnother, Answer::Forbid, Answer::PassThrough, Answer::Error] {
        edge.send(&spoofed(answer)).await;
    }
    let log = access_log(&edge, 5).await;
    assert!(!edge.envoy.access_log().contains("mallory"));
    let who = log.iter().map(|line| {
        ["server", "subject", "client_id", "grant_id", "provider"]
            .map(|key| line[key].as_str().unwrap_or("-"))
    });
    let alice = ["demo", "alice", "client-1", "grant-1", "corp"];
    let bob = ["demo", "bob", "client-2", "grant-2", "corp"];
    let unknown = ["demo", "", "", "", ""];
    let undecided = ["-"; 5];
    assert_eq!(who.collect::<Vec<_>>(), [alice, bob, bob, unknown, undecided]);
}

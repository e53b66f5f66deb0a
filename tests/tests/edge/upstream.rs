//! What comes back from the MCP server, and where requests go there.

use std::time::Duration;

use portcullis_envoy::Limits;
use portcullis_tests::edge::{Answer, Fixture, Recorder, Request, server};
use tokio::time::Instant;

#[tokio::test]
async fn t30_an_upstream_401_is_not_our_401() {
    let edge = Fixture::start().await;
    let request = Request::new("POST", "/demo/mcp").token(Answer::Allow);
    let response = edge.send(&request.clone().header("x-answer", "401")).await;
    assert_eq!(response.status, 502);
    assert_eq!(response.header("www-authenticate"), None);
    for status in [200, 202, 400, 403, 404, 500] {
        let response = edge.send(&request.clone().header("x-answer", &status.to_string())).await;
        assert_eq!(response.status, status);
    }
}

#[tokio::test]
async fn t30_an_upstream_401_to_a_token_of_its_own_is_the_clients_to_hear() {
    let edge = Fixture::start().await;
    let request = Request::new("POST", "/demo/mcp").token(Answer::PassThrough);
    let response = edge.send(&request.header("x-answer", "401")).await;
    assert_eq!(response.status, 401);
    assert_eq!(response.header("www-authenticate"), None, "what the upstream says would lead elsewhere");
}

#[tokio::test]
async fn an_upstream_sets_no_cookie_no_challenge_and_no_cors() {
    let edge = Fixture::start().await;
    let response = edge.send(&Request::new("GET", "/demo/mcp").token(Answer::Allow)).await;
    assert_eq!(response.status, 200);
    for name in
        ["set-cookie", "www-authenticate", "access-control-allow-origin", "access-control-allow-credentials"]
    {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.header("mcp-session-id"), Some("s-1"));
}

#[tokio::test]
async fn the_public_path_becomes_the_upstreams() {
    let edge = Fixture::start().await;
    for (target, upstream) in [
        ("/demo/mcp", "/mcp"),
        ("/demo/mcp?a=b%2fc", "/mcp?a=b%2fc"),
        ("/demo/mcp/", "/mcp/"),
        ("/demo/mcp/messages", "/mcp/messages"),
        ("/demo/mcp/inner", "/inner/"),
        ("/demo/mcp/inner/", "/inner/"),
        ("/demo/mcp/inner/x?y", "/inner/x?y"),
        ("/demo/mcp/innermost", "/mcp/innermost"),
    ] {
        edge.send(&Request::new("GET", target).token(Answer::Allow)).await;
        assert_eq!(edge.upstream.take()[0].target, upstream, "{target}");
    }
}

#[tokio::test]
async fn an_upstream_may_have_an_ipv6_address_or_a_name() {
    let six = Recorder::start_on("[::1]:0").await;
    let named = Recorder::start().await;
    let edge = Fixture::with(|edge| {
        let servers = &mut edge.virtual_hosts[0].servers;
        servers.push(server("six", "/six", &format!("http://{}/", six.address())));
        servers.push(server("named", "/named", &format!("http://localhost:{}/", named.address().port())));
    })
    .await;
    for (path, recorder) in [("/six", &six), ("/named", &named)] {
        assert_eq!(edge.send(&Request::new("GET", path).token(Answer::Allow)).await.status, 200, "{path}");
        assert_eq!(recorder.take()[0].target, "/");
    }
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_unavailable() {
    let edge = Fixture::with(|edge| {
        edge.virtual_hosts[0].servers.push(server("gone", "/gone", "http://127.0.0.1:1/"));
    })
    .await;
    let response = edge.send(&Request::new("POST", "/gone").token(Answer::Allow)).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), Some("2"));
}

/// Whether the client has asked for it or it is the answer to what the client has sent.
#[tokio::test]
async fn t29_an_open_event_stream_ends_within_the_bound() {
    let stream = Duration::from_secs(1);
    let edge = Fixture::with(|edge| edge.limits = Limits { stream, ..Limits::default() }).await;
    let opened = Instant::now();
    let open = async |method| {
        let request = Request::new(method, "/demo/mcp/events").token(Answer::Allow);
        let response = edge.send(&request.body("")).await;
        (method, response, opened.elapsed())
    };
    let (get, post) = tokio::join!(open("GET"), open("POST"));
    for (method, response, lasted) in [get, post] {
        assert_eq!(response.status, 200, "{method}");
        assert!(response.body.contains("data: tick"), "{method}");
        // Envoy tells the time in whole milliseconds, and not anew for each timer.
        assert!(lasted >= stream * 9 / 10 && lasted < 10 * stream, "{method}: {lasted:?}");
    }
}

//! Browsers.

use portcullis_tests::edge::{ALLOWED_ORIGIN, Answer, Fixture, Request};

const FOREIGN: &str = "https://evil.example";

fn preflight(target: &str, origin: &str) -> Request {
    Request::new("OPTIONS", target)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,mcp-session-id")
}

#[tokio::test]
async fn t28_a_preflight_needs_no_token_and_no_check() {
    let edge = Fixture::start().await;
    let response = edge.send(&preflight("/demo/mcp", ALLOWED_ORIGIN)).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("access-control-allow-origin"), Some(ALLOWED_ORIGIN));
    assert_eq!(response.header("access-control-allow-credentials"), None);
    assert_eq!(response.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    let allowed = response.header("access-control-allow-headers").unwrap();
    for name in [
        "authorization",
        "content-type",
        "accept",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "last-event-id",
        "*", // for what the MCP server calls Mcp-Param-*
    ] {
        assert!(allowed.split(", ").any(|header| header == name), "{name}");
    }
    assert!(edge.authz.take().is_empty());
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t28_a_preflight_from_elsewhere_gets_nothing() {
    let edge = Fixture::start().await;
    let suffixed = format!("{ALLOWED_ORIGIN}.evil.example");
    for origin in [FOREIGN, "null", &suffixed, "http://app.example.com"] {
        let response = edge.send(&preflight("/demo/mcp", origin)).await;
        assert_eq!(response.header("access-control-allow-origin"), None, "{origin}");
    }
    assert!(edge.authz.take().is_empty());
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t28_without_allowed_origins_no_preflight_passes() {
    let edge = Fixture::with(|edge| edge.allowed_origins.clear()).await;
    let response = edge.send(&preflight("/demo/mcp", ALLOWED_ORIGIN)).await;
    assert_eq!(response.header("access-control-allow-origin"), None);
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t28_options_that_is_no_preflight_needs_a_token() {
    let edge = Fixture::start().await;
    assert_eq!(edge.send(&Request::new("OPTIONS", "/demo/mcp")).await.status, 401);
    let with_origin = Request::new("OPTIONS", "/demo/mcp").header("origin", ALLOWED_ORIGIN);
    assert_eq!(edge.send(&with_origin).await.status, 401);
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t28_a_browser_may_read_every_refusal() {
    let edge = Fixture::start().await;
    let call = || Request::new("POST", "/demo/mcp").header("origin", ALLOWED_ORIGIN);
    for (request, status) in [
        (call(), 401),
        (call().token(Answer::Forbid), 403),
        (call().token(Answer::Empty), 503),
        (call().token(Answer::Allow), 200),
    ] {
        let response = edge.send(&request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin"), Some(ALLOWED_ORIGIN), "{status}");
        let exposed = response.header("access-control-expose-headers").unwrap();
        for name in ["www-authenticate", "mcp-session-id", "mcp-protocol-version", "retry-after"] {
            assert!(exposed.split(", ").any(|header| header == name), "{status}: {name}");
        }
    }
    let response = edge.send(&Request::new("POST", "/demo/mcp").header("origin", FOREIGN)).await;
    assert_eq!(response.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn the_oauth_surface_answers_preflights_itself() {
    let edge = Fixture::start().await;
    for target in ["/token", "/register", "/revoke", "/.well-known/oauth-authorization-server"] {
        assert_eq!(edge.send(&preflight(target, FOREIGN)).await.status, 200, "{target}");
        let forwarded = edge.control_plane.take();
        assert_eq!(forwarded[0].header("origin"), Some(FOREIGN), "{target}");
    }
    assert!(edge.authz.take().is_empty());
}

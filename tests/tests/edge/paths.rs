//! Requests for what is not there, and for what should not be reached that way.

use portcullis_tests::edge::{Answer, Fixture, Request};

#[tokio::test]
async fn t27_what_has_no_route_is_not_found_and_nobody_is_asked() {
    let edge = Fixture::start().await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/mcp"),
        ("GET", "/demo"),
        ("POST", "/demo/mcpx"),
        ("POST", "/DEMO/MCP"),
        ("GET", "/internal/metrics"),
        ("PUT", "/demo/mcp"),
        ("HEAD", "/demo/mcp"),
        ("GET", "/token"),
        ("DELETE", "/register"),
        ("POST", "/authorize"),
        ("GET", "/consent"),
        ("GET", "/callback/corp"),
        ("GET", "/token/x"),
        ("GET", "/.well-known/jwks.json/x"),
        ("GET", "/.well-known/other"),
        ("GET", "/demo/mcp-other/.well-known/openid-configuration"),
    ] {
        let response = edge.send(&Request::new(method, target).token(Answer::Allow)).await;
        assert_eq!(response.status, 404, "{method} {target}");
    }
    assert!(edge.forwarded().is_empty());
    assert!(edge.authz.take().is_empty());
}

#[tokio::test]
async fn t24_a_token_in_the_url_beside_the_header_is_refused() {
    let edge = Fixture::start().await;
    for target in [
        "/demo/mcp?access_token=pcl_at_x",
        "/demo/mcp?a=b&access_token=PCL_AT_x",
        "/demo/mcp/pcl_at_x",
        "/demo/mcp/inner?pcl_rt_x",
        "/demo/mcp?access_token=p%63l_at_x",
        "/demo/mcp?access_token=%70%43%4C%5f%61%54%5Fx",
    ] {
        let response = edge.send(&Request::new("POST", target).token(Answer::Allow)).await;
        assert_eq!(response.status, 400, "{target}");
    }
    assert!(edge.forwarded().is_empty());
    let alone = edge.send(&Request::new("POST", "/demo/mcp?access_token=pcl_at_x")).await;
    assert_eq!(alone.status, 401);
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t27_an_unknown_authority_is_misdirected() {
    let edge = Fixture::start().await;
    for authority in
        ["evil.example", "mcp.test:8080", "mcp.test:443", "mcp.test.", "sub.mcp.test", "127.0.0.1", ""]
    {
        for target in ["/demo/mcp", "/token", "/.well-known/oauth-protected-resource"] {
            let request = Request::new("POST", target).to(authority).token(Answer::Allow);
            let status = edge.send(&request).await.status;
            assert!(matches!(status, 400 | 421), "{authority}{target}: {status}");
        }
    }
    assert!(edge.forwarded().is_empty());
    assert!(edge.authz.take().is_empty());
}

#[tokio::test]
async fn the_schemes_own_port_may_be_written_or_not() {
    let edge = Fixture::start().await;
    for authority in ["mcp.test", "mcp.test:80", "MCP.test"] {
        let request = Request::new("POST", "/demo/mcp").to(authority).token(Answer::Allow);
        assert_eq!(edge.send(&request).await.status, 200, "{authority}");
    }
}

#[tokio::test]
async fn t27_path_tricks_are_refused_even_with_a_good_token() {
    let edge = Fixture::start().await;
    for target in [
        "/demo/mcp/%2e%2e/%2e%2e/secret",
        "/demo/mcp/..%2fsecret",
        "/demo%2fmcp",
        "/demo%2Fmcp",
        "/demo%5cmcp",
        "/demo/mcp\\..\\secret",
        "/demo/mcp/..;/secret",
        "/demo/mcp;x=1",
        "/demo/mcp/;/x",
        "/demo/mcp%00",
        "/demo/mcp/%00",
        "/demo/mcp\0",
        "/demo/mcp/%252e%252e/secret",
        "/demo/mcp/%c0%ae%c0%ae/secret",
        "/demo/mcp#x",
        "demo/mcp",
        "*",
    ] {
        for method in ["POST", "OPTIONS"] {
            let response = edge.send(&Request::new(method, target).token(Answer::Allow)).await;
            assert!(matches!(response.status, 400 | 404), "{method} {target:?}: {response:?}");
        }
    }
    assert!(edge.forwarded().is_empty());
    assert!(edge.authz.take().is_empty());
}

#[tokio::test]
async fn t27_dots_and_doubled_slashes_are_resolved_before_the_token_is_asked_for() {
    let edge = Fixture::start().await;
    for target in [
        "//demo/mcp",
        "/demo//mcp",
        "/x/../demo/mcp",
        "/token/../demo/mcp",
        "/./demo/mcp",
        "/demo/%6dcp",
        "/x/%2e%2e/demo/mcp",
        "//demo///mcp/",
    ] {
        assert_eq!(edge.send(&Request::new("POST", target)).await.status, 401, "{target}");
    }
    for target in ["/demo/mcp/../../secret", "/demo/mcp/../../../../secret", "//secret"] {
        let response = edge.send(&Request::new("POST", target).token(Answer::Allow)).await;
        assert_eq!(response.status, 404, "{target}");
    }
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t27_the_absolute_form_cannot_name_another_authority() {
    let edge = Fixture::start().await;
    let request = Request::new("POST", "http://evil.example/demo/mcp").token(Answer::Allow);
    assert_eq!(edge.send(&request).await.status, 421);
    let request = Request::new("CONNECT", "mcp.test:80").token(Answer::Allow);
    assert!(edge.send(&request).await.status >= 400);
    assert!(edge.forwarded().is_empty());
}

//! A client says itself who it is.

use std::net::IpAddr;

use envoy_types::ext_authz::v3::CheckRequestExt;
use portcullis_tests::edge::{Answer, CREDENTIAL, Fixture, Request};

const SPOOFED: [(&str, &str); 16] = [
    ("x-portcullis-subject", "mallory"),
    ("X-Portcullis-Email", "mallory@example.com"),
    ("x-portcullis-origin", "https://evil.example"),
    ("x-forwarded-user", "mallory"),
    ("x-forwarded-email", "mallory@example.com"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-port", "1"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=10.0.0.1;host=evil.example"),
    ("x-real-ip", "10.0.0.1"),
    ("x-envoy-internal", "true"),
    ("x-envoy-original-path", "/evil"),
    ("x-original-url", "/evil"),
    ("x-http-method-override", "DELETE"),
];

fn spoofed(method: &str, target: &str) -> Request {
    SPOOFED.iter().fold(Request::new(method, target), |request, (name, value)| request.header(name, value))
}

#[tokio::test]
async fn t25_spoofed_identity_headers_reach_neither_authz_nor_the_mcp_server() {
    let edge = Fixture::start().await;
    let response = edge.send(&spoofed("POST", "/demo/mcp").token(Answer::Allow)).await;
    assert_eq!(response.status, 200);

    let [check] = &edge.authz.take()[..] else { panic!("one check") };
    let seen = check.get_client_headers().unwrap();
    for (name, _) in SPOOFED {
        assert!(!seen.contains_key(&name.to_lowercase()), "authz sees {name}");
    }

    let [request] = &edge.upstream.take()[..] else { panic!("one request") };
    assert_eq!(request.header("authorization"), Some(CREDENTIAL));
    assert_eq!(request.header("x-portcullis-subject"), Some("alice"), "authz's word, not the client's");
    for (name, value) in SPOOFED {
        assert_ne!(request.header(name), Some(value), "the MCP server sees {name}");
    }
}

#[tokio::test]
async fn t25_spoofed_identity_headers_do_not_reach_the_control_plane() {
    let edge = Fixture::start().await;
    assert_eq!(edge.send(&spoofed("GET", "/authorize?client_id=1")).await.status, 200);
    let [request] = &edge.control_plane.take()[..] else { panic!("one request") };
    assert_eq!(request.header("x-portcullis-origin"), Some("http://mcp.test"));
    let address = request.header("x-forwarded-for").unwrap();
    assert!(address.parse::<IpAddr>().is_ok(), "Envoy's own word and nothing else: {address}");
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    for (name, value) in SPOOFED {
        assert_ne!(request.header(name), Some(value), "the control plane sees {name}");
    }
}

#[tokio::test]
async fn t25_a_header_that_reads_like_another_with_underscores_is_refused() {
    let edge = Fixture::start().await;
    let request = Request::new("POST", "/demo/mcp").token(Answer::Allow);
    assert_eq!(edge.send(&request.header("x_portcullis_subject", "mallory")).await.status, 400);
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn authz_gets_the_authorization_header_and_the_routes_server_and_no_other_header() {
    let edge = Fixture::start().await;
    let request = Request::new("POST", "/demo/mcp?server=other").token(Answer::Allow).header("cookie", "a=b");
    edge.send(&request).await;
    edge.send(&Request::new("POST", "/demo/mcp/inner").token(Answer::Allow)).await;

    let checks = edge.authz.take();
    let servers = checks.iter().map(|check| {
        let extensions = &check.attributes.as_ref().unwrap().context_extensions;
        assert_eq!(extensions.len(), 1);
        extensions["server"].as_str()
    });
    assert_eq!(servers.collect::<Vec<_>>(), ["demo", "inner"]);
    let headers = checks[0].get_client_headers().unwrap().keys().filter(|name| !name.starts_with(':'));
    assert_eq!(headers.collect::<Vec<_>>(), ["authorization"]);
}

#[tokio::test]
async fn the_mcp_server_does_not_see_the_clients_network_or_browser() {
    let edge = Fixture::start().await;
    let request = Request::new("POST", "/demo/mcp")
        .token(Answer::Allow)
        .header("cookie", "session=edge")
        .header("origin", "https://app.example.com")
        .header("referer", "https://app.example.com/secret")
        .header("proxy-authorization", "Basic abc")
        .header("mcp-session-id", "s-1");
    edge.send(&request).await;
    let [request] = &edge.upstream.take()[..] else { panic!("one request") };
    for name in ["cookie", "origin", "referer", "proxy-authorization", "x-forwarded-for", "x-forwarded-proto"]
    {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert_eq!(request.header("mcp-session-id"), Some("s-1"));
    assert_eq!(request.header("host"), Some(edge.upstream.address().to_string().as_str()));
}

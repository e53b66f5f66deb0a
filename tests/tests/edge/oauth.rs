//! The OAuth surface: open, and only it.

use portcullis_envoy::VirtualHost;
use portcullis_tests::edge::{Answer, Fixture, Request, server};
use url::Url;

const SURFACE: [(&str, &str); 26] = [
    ("GET", "/.well-known/oauth-protected-resource"),
    ("GET", "/.well-known/oauth-protected-resource/demo/mcp"),
    ("HEAD", "/.well-known/oauth-protected-resource/demo/mcp"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/oauth-authorization-server/demo/mcp"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/.well-known/openid-configuration/demo/mcp"),
    ("GET", "/demo/mcp/.well-known/openid-configuration"),
    ("GET", "/demo/mcp/.well-known/oauth-authorization-server"),
    ("OPTIONS", "/demo/mcp/inner/.well-known/openid-configuration"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/openapi.json"),
    ("POST", "/register"),
    ("OPTIONS", "/register"),
    ("POST", "/token"),
    ("POST", "/revoke"),
    ("GET", "/authorize?client_id=1"),
    ("POST", "/consent"),
    ("GET", "/callback?code=1&state=2"),
    ("POST", "/user-token"),
    ("GET", "/account"),
    ("POST", "/account/disconnect"),
    ("GET", "/provider-clients/client.json"),
    ("GET", "/assets/style.css"),
    ("HEAD", "/assets/style.css"),
    ("OPTIONS", "/token"),
];

#[tokio::test]
async fn every_route_goes_to_the_control_plane_without_a_check() {
    let edge = Fixture::start().await;
    for (method, target) in SURFACE {
        let request = Request::new(method, target).header("authorization", "Basic Y2xpZW50OnNlY3JldA==");
        assert_eq!(edge.send(&request).await.status, 200, "{method} {target}");
        let [request] = &edge.control_plane.take()[..] else { panic!("{method} {target}") };
        assert_eq!((request.method.as_str(), request.target.as_str()), (method, target));
        assert_eq!(request.header("x-portcullis-origin"), Some("http://mcp.test"), "{target}");
        assert_eq!(request.header("authorization"), Some("Basic Y2xpZW50OnNlY3JldA=="), "{target}");
    }
    assert!(edge.upstream.take().is_empty());
    assert!(edge.authz.take().is_empty());
}

#[tokio::test]
async fn t27_metadata_below_an_mcp_server_is_no_way_into_it() {
    let edge = Fixture::start().await;
    for (method, target) in [
        ("POST", "/demo/mcp/.well-known/openid-configuration"),
        ("GET", "/demo/mcp/.well-known/openid-configuration/x"),
        ("GET", "/demo/mcp/x/.well-known/openid-configuration"),
    ] {
        assert_eq!(edge.send(&Request::new(method, target)).await.status, 401, "{method} {target}");
    }
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn each_origin_has_its_own_issuer_and_its_own_servers() {
    let edge = Fixture::with(|edge| {
        let upstream = edge.virtual_hosts[0].servers[0].upstream.to_string();
        edge.virtual_hosts.push(VirtualHost {
            origin: Url::parse("https://lab.test:8443").unwrap().origin(),
            servers: vec![server("lab", "/lab", &upstream)],
        });
    })
    .await;
    let at = |authority: &str, target: &str| Request::new("POST", target).to(authority).token(Answer::Allow);
    for (authority, origin) in [("mcp.test", "http://mcp.test"), ("lab.test:8443", "https://lab.test:8443")] {
        edge.send(&at(authority, "/token")).await;
        assert_eq!(edge.control_plane.take()[0].header("x-portcullis-origin"), Some(origin));
    }
    assert_eq!(edge.send(&at("lab.test:8443", "/lab")).await.status, 200);
    assert_eq!(edge.send(&at("lab.test:8443", "/demo/mcp")).await.status, 404);
    assert_eq!(edge.send(&at("mcp.test", "/lab")).await.status, 404);
    assert_eq!(edge.send(&at("lab.test", "/lab")).await.status, 421);
}

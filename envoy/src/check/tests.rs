use std::path::PathBuf;

use super::*;
use crate::{Rate, SYSTEM_CA, Tls, VirtualHost};

fn server(name: &str, path: &str, upstream: &str) -> Server {
    Server {
        name: name.to_owned(),
        path: path.to_owned(),
        upstream: upstream.parse().unwrap(),
        credential_headers: Vec::new(),
    }
}

fn host(origin: &str, servers: Vec<Server>) -> VirtualHost {
    VirtualHost { origin: Url::parse(origin).unwrap().origin(), servers }
}

fn plain() -> Edge {
    Edge {
        listen: "127.0.0.1:10000".parse().unwrap(),
        tls: None,
        admin: "127.0.0.1:9901".parse().unwrap(),
        authz: vec!["127.0.0.1:9191".parse().unwrap()],
        control_plane: "127.0.0.1:8080".parse().unwrap(),
        mesh: None,
        allowed_origins: Vec::new(),
        trusted_ca: SYSTEM_CA.into(),
        virtual_hosts: vec![host("http://localhost:10000", vec![server("a", "/a", "http://a/")])],
        limits: Limits::default(),
    }
}

/// Why the plain edge is refused after a change.
fn refusal(change: impl FnOnce(&mut Edge)) -> String {
    let mut edge = plain();
    change(&mut edge);
    crate::render(&edge).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_plain_edge_is_taken() {
    crate::render(&plain()).unwrap();
}

#[test]
fn somebody_must_decide() {
    assert_eq!(refusal(|edge| edge.authz.clear()), "there is no authz instance");
}

#[test]
fn an_allowed_origin_is_an_origin_and_nothing_more() {
    for origin in [
        "*",
        "null",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com:443",
        "https://App.example.com",
        "https://*.example.com",
        "file:///",
    ] {
        let error = refusal(|edge| edge.allowed_origins.push(origin.to_owned()));
        assert!(error.contains(&format!("{origin:?} is not an origin")), "{error}");
    }
}

#[test]
fn a_path_must_be_plain() {
    for path in [
        "", "/", "a", "/a/", "//a", "/a//b", "/a/../b", "/.", "/a%2fb", "/a b", "/a?b", "/a;b", "/ä", "/a\"b",
    ] {
        let error = refusal(|edge| path.clone_into(&mut edge.virtual_hosts[0].servers[0].path));
        assert!(error.contains(&format!("path {path:?} must be segments")), "{error}");
    }
}

#[test]
fn the_oauth_surface_keeps_its_paths() {
    for path in ["/token", "/token/mcp", "/.well-known/mcp", "/a/.well-known/openid-configuration", "/assets"]
    {
        let error = refusal(|edge| path.clone_into(&mut edge.virtual_hosts[0].servers[0].path));
        assert!(error.contains("belongs to the OAuth surface"), "{path}: {error}");
    }
}

#[test]
fn every_route_of_the_oauth_surface_is_reserved() {
    use crate::routes::{Match, OAUTH};
    for route in &OAUTH {
        let (Match::Path(path) | Match::Below(path) | Match::Regex(path)) = route.matches;
        let first = path.replace('\\', "").split('/').nth(1).unwrap().to_owned();
        assert!(RESERVED.contains(&first.as_str()), "{path}");
    }
}

#[test]
fn an_upstream_is_a_plain_http_url() {
    for upstream in
        ["ftp://a/", "http://user@a/", "http://:secret@a/", "http://a/?b", "http://a/#b", "unix:/a"]
    {
        let error = refusal(|edge| edge.virtual_hosts[0].servers[0].upstream = upstream.parse().unwrap());
        assert!(error.contains("must be http or https"), "{upstream}: {error}");
    }
}

#[test]
fn nothing_is_there_twice() {
    let servers = |edge: &mut Edge, name, path| {
        edge.virtual_hosts[0].servers.push(server(name, path, "http://b/"));
    };
    assert_eq!(refusal(|edge| servers(edge, "a", "/b")), "two servers are named a");
    assert_eq!(refusal(|edge| servers(edge, "b", "/a")), "servers a and b have the same URL");
    let origins = |edge: &mut Edge, first, second| {
        edge.virtual_hosts = vec![host(first, Vec::new()), host(second, Vec::new())];
    };
    assert_eq!(
        refusal(|edge| origins(edge, "http://a.test", "https://a.test")),
        "two origins answer to the same authority, a.test"
    );
    assert_eq!(
        refusal(|edge| origins(edge, "http://a.test:8443", "https://A.test:8443")),
        "two origins answer to the same authority, a.test:8443"
    );
}

#[test]
fn an_origin_is_http_or_https() {
    for origin in ["ftp://a.test", "data:text/plain,a"] {
        let error = refusal(|edge| edge.virtual_hosts = vec![host(origin, Vec::new())]);
        assert_eq!(error, "a public origin is neither http nor https");
    }
}

#[test]
fn no_limit_is_zero() {
    let zero = Rate { per_address: 1, overall: 0 };
    assert_eq!(refusal(|edge| edge.limits.mcp = zero), "limit mcp must not be zero");
    assert_eq!(refusal(|edge| edge.limits.body_bytes = 0), "limit body_bytes must not be zero");
    let nothing = std::time::Duration::ZERO;
    assert_eq!(refusal(|edge| edge.limits.stream = nothing), "limit stream must not be zero");
    assert_eq!(refusal(|edge| edge.limits.request = nothing), "limit request must not be zero");
    assert_eq!(refusal(|edge| edge.limits.idle_stream = nothing), "limit idle_stream must not be zero");
    let refused = refusal(|edge| edge.limits.idle_connection = nothing);
    assert_eq!(refused, "limit idle_connection must not be zero");
}

#[test]
fn what_looks_like_yaml_stays_text() {
    let mut edge = plain();
    edge.tls =
        Some(Tls { certificate: PathBuf::from("/a\"\n} ]: &x *y #z"), private_key: PathBuf::from("/b\\") });
    let yaml = crate::render(&edge).unwrap();
    assert!(yaml.contains(r#"filename: "/a\"\n} ]: &x *y #z" }"#), "{yaml}");
    assert!(yaml.contains(r#"filename: "/b\\" }"#), "{yaml}");
}

#[test]
fn a_credential_header_is_a_name_and_no_pattern() {
    for header in ["", "X-Api-Key", "x-.*", "x api", "x|y", "x_key"] {
        let set = |edge: &mut Edge| {
            edge.virtual_hosts[0].servers[0].credential_headers =
                vec!["x-good".to_owned(), header.to_owned()];
        };
        assert!(refusal(set).contains("credential header"), "{header}");
    }
}

#[test]
fn authz_may_write_the_credential_headers_of_all_servers_and_no_others() {
    let rendered = |headers: &[&str]| {
        let mut edge = plain();
        edge.virtual_hosts[0].servers[0].credential_headers =
            headers.iter().map(|&header| header.to_owned()).collect();
        let yaml = crate::render(&edge).unwrap();
        yaml.lines().find(|line| line.contains("allow_expression")).unwrap().trim().to_owned()
    };
    assert_eq!(rendered(&[]), r#"allow_expression: { regex: "^(authorization|x-portcullis-[a-z0-9-]+)$" }"#);
    assert_eq!(
        rendered(&["x-proof", "x-api-key", "x-proof", "authorization", "x-portcullis-assertion"]),
        r#"allow_expression: { regex: "^(authorization|x-portcullis-[a-z0-9-]+|x-api-key|x-proof)$" }"#
    );
}

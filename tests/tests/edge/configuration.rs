//! The configuration itself.

use portcullis_envoy::{Edge, Limits, Mesh, SYSTEM_CA, Server, Tls, VirtualHost, render};
use portcullis_tests::edge::{Certificate, Fixture, Request, server, validate};
use url::Url;

/// Every shape that the templates know: names and both kinds of addresses, http and https, with and without a port.
fn sample() -> Edge {
    let origin = |text: &str| Url::parse(text).unwrap().origin();
    Edge {
        listen: "[::1]:8443".parse().unwrap(),
        tls: None,
        admin: "127.0.0.1:9901".parse().unwrap(),
        authz: vec!["authz.internal:9191".parse().unwrap(), "[::1]:9191".parse().unwrap()],
        control_plane: "127.0.0.1:8080".parse().unwrap(),
        mesh: None,
        allowed_origins: vec!["https://app.example.com".to_owned(), "http://localhost:6274".to_owned()],
        trusted_ca: SYSTEM_CA.into(),
        virtual_hosts: vec![
            VirtualHost {
                origin: origin("https://mcp.example.com"),
                servers: vec![
                    server("a", "/a", "https://api.example.com/mcp"),
                    server("b", "/a/b.c", "https://127.0.0.1:9443/mcp/"),
                    server("c", "/c", "https://[::1]/"),
                ],
            },
            VirtualHost {
                origin: origin("http://[::1]:10000"),
                servers: vec![server("quote\"d", "/d", "http://localhost:9000/mcp")],
            },
        ],
        limits: Limits::default(),
    }
}

fn assert_valid(edge: &Edge) {
    let output = validate(&render(edge).unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn envoy_takes_it_in_plain() {
    assert_valid(&sample());
    assert_valid(&Edge { allowed_origins: Vec::new(), virtual_hosts: Vec::new(), ..sample() });
}

/// Its regular expressions grow with these, and by default Envoy takes short ones only.
#[test]
fn envoy_takes_it_with_many_servers_long_paths_and_credential_headers() {
    let mut edge = sample();
    edge.virtual_hosts[0].servers = (0..100)
        .map(|number| Server {
            credential_headers: vec![format!("x-the-key-of-server-{number}")],
            ..server(
                &format!("server-{number}"),
                &format!("/{}/{number}/mcp", "department".repeat(12)),
                "https://api.example.com/mcp/",
            )
        })
        .collect();
    assert_valid(&edge);
}

#[test]
fn envoy_takes_it_with_tls() {
    let certificate = Certificate::of("DNS:mcp.example.com");
    assert_valid(&Edge { tls: Some(certificate.tls()), ..sample() });
}

#[test]
fn envoy_takes_it_with_a_mesh() {
    let certificate = Certificate::of("DNS:edge.portcullis.internal");
    let Tls { certificate: chain, private_key } = certificate.tls();
    let mesh = Mesh {
        ca: chain.clone(),
        certificate: chain,
        private_key,
        authz: "authz.portcullis.internal".to_owned(),
        control_plane: "control-plane.portcullis.internal".to_owned(),
    };
    assert_valid(&Edge { mesh: Some(mesh), ..sample() });
}

#[tokio::test]
async fn the_admin_interface_neither_shows_nor_changes_the_configuration() {
    let edge = Fixture::start().await;
    let admin = async |method, target| Request::new(method, target).send(edge.envoy.admin()).await.status;
    for target in ["/ready", "/stats", "/stats/prometheus", "/clusters", "/server_info"] {
        assert_eq!(admin("GET", target).await, 200, "{target}");
    }
    for target in [
        "/config_dump",
        "/certs",
        "/quitquitquit",
        "/runtime_modify?a=b",
        "/logging?level=trace",
        "/stats/recentlookups/enable",
        "/",
    ] {
        assert_eq!(admin("POST", target).await, 403, "{target}");
    }
}

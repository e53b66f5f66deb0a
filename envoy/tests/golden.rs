//! `example.yaml` is what a sample edge renders to: read it, and see there what a change does.
//! `UPDATE=1 cargo test -p portcullis-envoy` writes it anew.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what fails here fails the test")]

use std::path::Path;

use portcullis_envoy::{Edge, Limits, Mesh, SYSTEM_CA, Server, Tls, VirtualHost, render};
use url::Url;

/// TLS, two instances of authz, two origins, three servers, one of them out in the world.
fn sample() -> Edge {
    let server = |name: &str, path: &str, upstream: &str| Server {
        name: name.to_owned(),
        path: path.to_owned(),
        upstream: upstream.parse().unwrap(),
        credential_headers: if name == "lab" { vec!["x-api-key".to_owned()] } else { Vec::new() },
    };
    let origin = |url: &str| url.parse::<Url>().unwrap().origin();
    Edge {
        listen: "0.0.0.0:443".parse().unwrap(),
        tls: Some(Tls {
            certificate: "/etc/portcullis/edge.crt".into(),
            private_key: "/etc/portcullis/edge.key".into(),
        }),
        admin: "127.0.0.1:9901".parse().unwrap(),
        authz: vec!["authz-1.internal:9191".parse().unwrap(), "authz-2.internal:9191".parse().unwrap()],
        control_plane: "control-plane.internal:8080".parse().unwrap(),
        mesh: Some(Mesh {
            ca: "/etc/portcullis/mesh/ca.pem".into(),
            certificate: "/etc/portcullis/mesh/certificate.pem".into(),
            private_key: "/etc/portcullis/mesh/private_key.pem".into(),
            authz: "authz.portcullis.internal".to_owned(),
            control_plane: "control-plane.portcullis.internal".to_owned(),
        }),
        allowed_origins: vec!["https://app.example.com".to_owned()],
        trusted_ca: SYSTEM_CA.into(),
        virtual_hosts: vec![
            VirtualHost {
                origin: origin("https://mcp.example.com"),
                servers: vec![
                    server("tickets", "/tickets/mcp", "http://127.0.0.1:9000/mcp"),
                    server("github", "/github", "https://api.githubcopilot.com/mcp/"),
                ],
            },
            VirtualHost {
                origin: origin("https://lab.example.com:8443"),
                servers: vec![server("lab", "/mcp", "http://lab.internal:9000/mcp")],
            },
        ],
        limits: Limits::default(),
    }
}

#[test]
fn the_example_is_what_the_sample_renders_to() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("example.yaml");
    let rendered = render(&sample()).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let example = std::fs::read_to_string(&path).unwrap();
    assert!(rendered == example, "example.yaml is out of date: run UPDATE=1 cargo test -p portcullis-envoy");
}

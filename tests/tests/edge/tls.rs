//! TLS, towards clients and towards MCP servers. The MCP server here is another edge: it answers 421, for it does not
//! know the authority; what does not get through the handshake is 503.

use std::path::PathBuf;

use portcullis_envoy::SYSTEM_CA;
use portcullis_tests::edge::{Answer, Certificate, Fixture, Request, server};

/// The status that a client gets from an MCP server at `https://{host}`, which shows `certificate`.
async fn status(host: &str, certificate: &Certificate, trusted_ca: PathBuf) -> u16 {
    let upstream = Fixture::with(|edge| edge.tls = Some(certificate.tls())).await;
    let url = format!("https://{host}:{}/", upstream.envoy.address().port());
    let edge = Fixture::with(|edge| {
        edge.trusted_ca = trusted_ca;
        edge.virtual_hosts[0].servers.push(server("secure", "/secure", &url));
    })
    .await;
    edge.send(&Request::new("POST", "/secure").token(Answer::Allow)).await.status
}

#[tokio::test]
async fn an_upstream_shows_its_own_certificate() {
    let named = Certificate::of("DNS:localhost");
    assert_eq!(status("localhost", &named, named.file()).await, 421);
    let addressed = Certificate::of("IP:127.0.0.1");
    assert_eq!(status("127.0.0.1", &addressed, addressed.file()).await, 421);
}

#[tokio::test]
async fn an_upstream_with_another_hosts_certificate_is_not_reached() {
    let other = Certificate::of("DNS:other.example");
    assert_eq!(status("localhost", &other, other.file()).await, 503);
    assert_eq!(status("127.0.0.1", &other, other.file()).await, 503);
}

#[tokio::test]
async fn an_upstream_whose_certificate_nobody_vouches_for_is_not_reached() {
    assert_eq!(status("localhost", &Certificate::of("DNS:localhost"), SYSTEM_CA.into()).await, 503);
}

//! Trailers of a request. HTTP/2 has them on both sides, and whatever looks at headers does not see them: nothing that
//! reaches an MCP server may come that way.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use portcullis_tests::edge::{AUTHORITY, Answer, Certificate, Fixture, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What one request brought.
struct Arrived {
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// An MCP server that speaks HTTP/2 over TLS, and tells what its first request brought.
async fn upstream(certificate: &Certificate) -> (SocketAddr, oneshot::Receiver<Arrived>) {
    let tls = certificate.tls();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(tls.certificate).unwrap()],
            PrivateKeyDer::from_pem_file(tls.private_key).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, first) = oneshot::channel();
    tokio::spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        let connection = tokio::spawn(async move { while connection.accept().await.is_some() {} });
        let (parts, mut stream) = request.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data.unwrap();
            stream.flow_control().release_capacity(data.len()).unwrap();
            body.extend(data);
        }
        let trailers = stream.trailers().await.unwrap();
        respond.send_response(http::Response::new(()), true).unwrap();
        let _ = arrived.send(Arrived { headers: parts.headers, body, trailers });
        connection.await.unwrap();
    });
    (address, first)
}

/// Sends a request with trailers over HTTP/2, and gives the status.
async fn send(to: SocketAddr, request: Request<()>, trailers: HeaderMap) -> u16 {
    let stream = TcpStream::connect(to).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection: JoinHandle<_> = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"{}"), false).unwrap();
    body.send_trailers(trailers).unwrap();
    let status = response.await.unwrap().status().as_u16();
    connection.abort();
    status
}

#[tokio::test]
async fn t25_trailers_of_a_request_do_not_reach_the_mcp_server() {
    let certificate = Certificate::of("DNS:localhost");
    let (address, arrived) = upstream(&certificate).await;
    let edge = Fixture::with(|edge| {
        edge.trusted_ca = certificate.file();
        let url = format!("https://localhost:{}/", address.port());
        edge.virtual_hosts[0].servers.push(server("secure", "/secure", &url));
    })
    .await;
    let spoofed = [
        ("x-portcullis-subject", "mallory"),
        ("authorization", "Bearer pcl_at_another"),
        ("x-forwarded-for", "10.0.0.1"),
        ("cookie", "session=edge"),
        ("x-anything", "else"),
    ];
    let mut trailers = HeaderMap::new();
    for (name, value) in spoofed {
        trailers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let request = Request::post(format!("http://{AUTHORITY}/secure"))
        .header("authorization", Answer::Allow.authorization())
        .header("x-portcullis-subject", "mallory")
        .body(())
        .unwrap();
    assert_eq!(send(edge.envoy.address(), request, trailers).await, 200);

    let arrived = arrived.await.unwrap();
    assert_eq!(arrived.headers["x-portcullis-subject"], "alice");
    assert_eq!(arrived.body, b"{}");
    assert_eq!(arrived.trailers.unwrap_or_default(), HeaderMap::new());
}

//! Who gets through the handshake, and as whom.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;

use super::*;

/// An authz that echoes one byte, and what it says of who has connected.
struct Server {
    address: SocketAddr,
    told: Arc<Told>,
    peers: tokio::sync::mpsc::Receiver<Peer>,
}

impl Server {
    async fn start(identity: Option<Arc<Identity>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Told::default());
        let mut served = connections(TcpListenerStream::new(listener), identity, told.clone());
        let (sender, peers) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(connection) = served.next().await {
                let mut connection = connection.unwrap();
                sender.send(connection.peer()).await.unwrap();
                tokio::spawn(async move {
                    let byte = connection.read_u8().await.unwrap();
                    connection.write_u8(byte).await.unwrap();
                    connection.flush().await.unwrap();
                });
            }
        });
        Self { address, told, peers }
    }

    /// Whether somebody who connects so is served.
    async fn serves(&self, connector: TlsConnector, name: Role) -> bool {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = Names::default().server_name(name);
        // In TLS 1.3 the client's end of the handshake comes first: a refusal shows when something is read.
        let Ok(mut stream) = connector.connect(name, stream).await else { return false };
        stream.write_u8(7).await.is_ok()
            && stream.flush().await.is_ok()
            && stream.read_u8().await.is_ok_and(|byte| byte == 7)
    }

    async fn told(&self) -> Vec<String> {
        loop {
            let told = self.told.take();
            if !told.is_empty() {
                return told;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A client without a certificate that trusts `ca`.
fn anonymous(ca: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_says_who_its_holder_is() {
    let world = World::new();
    let mut server = Server::start(Some(arc(world.open(Role::Authz)))).await;
    for role in [Role::Edge, Role::Admin, Role::Authz] {
        assert!(server.serves(world.open(role).unwrap().connector(), Role::Authz).await, "{role}");
        let peer = server.peers.recv().await.unwrap();
        assert_eq!(peer, Peer::Verified([role].into_iter().collect()));
        assert_eq!(Role::ALL.map(|other| peer.is(other)), Role::ALL.map(|other| other == role));
    }
    assert!(server.told.take().is_empty());
}

#[tokio::test]
async fn whoever_has_no_good_certificate_is_not_served() {
    let (world, other) = (World::new(), World::new());
    let server = Server::start(Some(arc(world.open(Role::Authz)))).await;

    assert!(!server.serves(anonymous(&world.files(Role::Edge).ca), Role::Authz).await, "no certificate");
    assert_eq!(server.told().await, ["handshake"]);

    // Another authority's, though this client would trust the server.
    let files = Files { ca: world.files(Role::Edge).ca, ..other.files(Role::Edge) };
    let ca = fs::read(&files.ca).unwrap();
    let both = [ca, fs::read(other.files(Role::Edge).ca).unwrap()].concat();
    let bundle = other.path().join("both.pem");
    fs::write(&bundle, both).unwrap();
    let stranger =
        Identity::open(Role::Edge, Files { ca: bundle, ..files }, Names::default(), world.now).unwrap();
    assert!(!server.serves(stranger.connector(), Role::Authz).await, "another authority");
    assert_eq!(server.told().await, ["handshake"]);
}

#[tokio::test]
async fn an_expired_certificate_is_not_served() {
    // Made yesterday, by an authority of then.
    let (directory, now) = (tempfile::tempdir().unwrap(), SystemClock.now());
    let yesterday = now.before(DAY);
    let authority = Authority::new(yesterday).unwrap();
    let make =
        |role, life| authority.issue(role, &Names::default(), yesterday, life, directory.path()).unwrap();
    let (authz, edge) = (make(Role::Authz, 2 * DAY), make(Role::Edge, DAY / 2));
    let server = Server::start(Some(arc(Identity::open(Role::Authz, authz, Names::default(), now)))).await;
    let edge = Identity::open(Role::Edge, edge, Names::default(), yesterday).unwrap();
    assert!(!server.serves(edge.connector(), Role::Authz).await);
    assert_eq!(server.told().await, ["handshake"]);
}

#[tokio::test]
async fn a_client_speaks_to_the_role_that_it_means_and_no_other() {
    let (world, other) = (World::new(), World::new());
    let edge = world.open(Role::Edge).unwrap();
    let server = Server::start(Some(arc(world.open(Role::Authz)))).await;
    assert!(!server.serves(edge.connector(), Role::ControlPlane).await, "authz is no control plane");
    assert_eq!(server.told().await, ["handshake"]);
    let server = Server::start(Some(arc(other.open(Role::Authz)))).await;
    assert!(!server.serves(edge.connector(), Role::Authz).await, "another authority's authz");
    assert_eq!(server.told().await, ["handshake"]);
}

#[tokio::test]
async fn a_client_without_tls_is_not_served_and_holds_nobody_up() {
    let world = World::new();
    let mut server = Server::start(Some(arc(world.open(Role::Authz)))).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert!(server.serves(world.open(Role::Edge).unwrap().connector(), Role::Authz).await);
    assert!(server.peers.recv().await.unwrap().is(Role::Edge));
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"\0"), "an HTTP/2 frame: {answer:?}");
    assert_eq!(server.told().await, ["handshake"]);
}

#[tokio::test]
async fn without_an_identity_everybody_is_everything() {
    let mut server = Server::start(None).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_u8(7).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 7);
    let peer = server.peers.recv().await.unwrap();
    assert!(Role::ALL.into_iter().all(|role| peer.is(role)));
}

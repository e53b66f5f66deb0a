//! A web site on which clients have their metadata documents: https on loopback, with a certificate authority of its own.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails, and says why")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

/// The web site. Ends when it is dropped.
#[derive(Debug)]
pub struct DocumentSite {
    address: SocketAddr,
    files: TempDir,
    shared: Arc<Mutex<Shared>>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    replies: BTreeMap<String, Reply>,
    asked: Vec<String>,
}

/// What is answered at a path.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Another header.
    pub header: Option<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// Never answers.
    pub hangs: bool,
}

/// Accepts TLS connections. One whose handshake fails is closed, and the next one waited for.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

// === impl DocumentSite ===

impl DocumentSite {
    /// Starts it, with nothing on it.
    pub async fn start() -> Self {
        let files = tempfile::tempdir().expect("a directory");
        certify(files.path());
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = tcp.local_addr().expect("an address");
        let listener = TlsListener { tcp, acceptor: acceptor(files.path()) };
        let shared = Arc::<Mutex<Shared>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Never returns by itself.
            let _ = axum::serve(listener, router).await;
        });
        Self { address, files, shared, _task: AbortOnDropHandle::new(task) }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its authority, in PEM.
    pub fn ca(&self) -> PathBuf {
        self.files.path().join("ca.crt")
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// `clients.metadata_documents` of a control plane that may fetch from here.
    pub fn policy(&self) -> Value {
        json!({ "development": { "addresses": [self.address], "ca": self.ca() } })
    }

    /// Publishes JSON at a path.
    pub fn publish(&self, path: &str, document: &Value) {
        self.reply(path, Reply::json(&document.to_string()));
    }

    /// Answers so from now on.
    pub fn reply(&self, path: &str, reply: Reply) {
        self.lock().replies.insert(path.to_owned(), reply);
    }

    /// The paths that have been asked for since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().asked)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Reply ===

impl Reply {
    /// JSON, and all is well.
    pub fn json(body: &str) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            header: None,
            body: body.to_owned(),
            hangs: false,
        }
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, uri: Uri) -> Response {
    let reply = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.asked.push(uri.path().to_owned());
        shared.replies.get(uri.path()).cloned()
    };
    let Some(reply) = reply else { return StatusCode::NOT_FOUND.into_response() };
    if reply.hangs {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(reply.status).expect("a status");
    let mut response = (status, [(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response();
    if let Some((name, value)) = reply.header {
        response.headers_mut().insert(name, value.parse().expect("a header value"));
    }
    response
}

// === TLS ===

/// An authority, and a certificate of it for localhost, made by openssl.
fn certify(directory: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
    openssl(
        directory,
        &[&["req", "-x509", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.crt"], &key[..]]
            .concat(),
    );
    let leaf = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"];
    let of = ["-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "tls.key", "-out", "tls.crt"];
    openssl(directory, &[&["req", "-x509", "-subj", "/CN=test"], &key[..], &leaf[..], &of[..]].concat());
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(directory).args(arguments).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "{output:?}");
}

fn acceptor(directory: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(directory.join("tls.crt")).expect("a certificate");
    let chain = chain.collect::<Result<_, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(directory.join("tls.key")).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    TlsAcceptor::from(Arc::new(config.expect("a certificate with its key")))
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.tcp.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

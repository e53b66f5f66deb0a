//! An HTTP server that writes down what reaches it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::IntervalStream;

/// Stands in for an MCP server or the control plane. It answers 200, or what the request's `x-answer` says; and with
/// headers that an MCP server should better not send. A path that ends with `/events` never stops
/// answering, and one that ends with `/silent` begins to and says no more.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    log: Log,
    task: JoinHandle<()>,
}

/// A request, as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
}

type Log = Arc<Mutex<Vec<Recorded>>>;

// === impl Recorder ===

impl Recorder {
    /// On a free port of 127.0.0.1.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0").await
    }

    /// On an address.
    pub async fn start_on(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Log::default();
        let router = Router::new().fallback(record).with_state(log.clone());
        let task = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { address, log, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has arrived since the last call.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(State(log): State<Log>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Read, since an answer before the end of the request may be lost with the connection.
    if axum::body::to_bytes(body, 16 << 20).await.is_err() {
        return StatusCode::BAD_REQUEST.into_response(); // to nobody: the request was given up
    }
    let status = parts.headers.get("x-answer").map_or("200", |status| status.to_str().unwrap()).to_owned();
    let answer: fn() -> Body = match parts.uri.path().rsplit('/').next() {
        Some("events") => || Body::from_stream(ticks()),
        Some("silent") => || Body::from_stream(ticks().take(1).chain(tokio_stream::pending())),
        _ => || Body::from("from upstream"),
    };
    log.lock().unwrap().push(Recorded {
        method: parts.method,
        target: parts.uri.to_string(),
        headers: parts.headers,
    });
    Response::builder()
        .status(status.as_str())
        .header("www-authenticate", "Bearer realm=\"upstream\"")
        .header("set-cookie", "session=upstream")
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-credentials", "true")
        .header("mcp-session-id", "s-1")
        .body(answer())
        .unwrap()
}

fn ticks() -> impl tokio_stream::Stream<Item = Result<&'static str, Infallible>> {
    IntervalStream::new(tokio::time::interval(Duration::from_millis(20))).map(|_| Ok("data: tick\n\n"))
}

// === impl Recorded ===

impl Recorded {
    /// A header's only value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).into_iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value
    }
}

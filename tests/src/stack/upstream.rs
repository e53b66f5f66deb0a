//! An MCP server inside the test that accepts everything and remembers what reached it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{HeaderMap, Method, Uri, header};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::interval;
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{Stream, StreamExt};
use tokio_util::task::AbortOnDropHandle;

/// The requests that are remembered; the oldest make room.
const KEPT: usize = 10_000;

/// The recording MCP server. Ends when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    recorded: Arc<Mutex<VecDeque<Recorded>>>,
    _task: AbortOnDropHandle<()>,
}

/// A request as it reached the MCP server.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

// === impl Upstream ===

impl Upstream {
    pub(super) async fn start(listen: SocketAddr) -> Self {
        let recorded = Arc::new(Mutex::new(VecDeque::new()));
        let router = Router::new().fallback(record).with_state(Arc::clone(&recorded));
        let listener = TcpListener::bind(listen).await.expect("a free port");
        let task = tokio::spawn(async move {
            // Never returns by itself.
            let _ = axum::serve(listener, router).await;
        });
        Self { recorded, _task: AbortOnDropHandle::new(task) }
    }

    /// Takes what has been recorded since the last time, oldest first.
    pub fn take(&self) -> Vec<Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

async fn record(
    State(recorded): State<Arc<Mutex<VecDeque<Recorded>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let streams = headers.get(header::ACCEPT).is_some_and(|accept| accept == "text/event-stream");
    let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
    if recorded.len() >= KEPT {
        recorded.pop_front();
    }
    recorded.push_back(Recorded { method, uri, headers, body });
    if streams {
        return ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(ticks())).into_response();
    }
    Json(json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } })).into_response()
}

/// Events without end, for whoever accepts nothing else.
fn ticks() -> impl Stream<Item = Result<&'static str, Infallible>> {
    IntervalStream::new(interval(Duration::from_millis(50))).map(|_| Ok("data: tick\n\n"))
}

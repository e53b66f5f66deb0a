//! An MCP server inside the test that accepts everything and remembers what reached it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::{Json, Router};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
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
) -> Json<Value> {
    let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
    if recorded.len() >= KEPT {
        recorded.pop_front();
    }
    recorded.push_back(Recorded { method, uri, headers, body });
    Json(json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } }))
}

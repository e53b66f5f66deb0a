//! For operators and their machines: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use portcullis_proto::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::decide::Outage;
use crate::metrics::Metrics;
use crate::replica::Replica;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are taken from.
#[derive(Clone)]
pub struct Ops {
    /// What this instance knows.
    pub replica: Arc<Replica>,
    /// What it has counted.
    pub metrics: Arc<Metrics>,
    /// The clock on the wall.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the instance is to stop.
    pub shutdown: CancellationToken,
}

/// Every route.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(ops)
}

/// 200 while requests can be decided and are welcome, else 503.
async fn readyz(State(ops): State<Ops>) -> impl IntoResponse {
    if ops.shutdown.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match ops.replica.ready(ops.clock.now()) {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(Outage::ClockSkew) => {
            (StatusCode::SERVICE_UNAVAILABLE, "this machine's clock and the control plane's disagree\n")
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the revocation log is not up to date\n"),
    }
}

async fn render(State(ops): State<Ops>) -> impl IntoResponse {
    match ops.metrics.render(ops.replica.figures(ops.clock.now())) {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

//! For operators and their machines: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};

use crate::metrics::Metrics;
use crate::replica::Replica;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Ops {
    replica: Arc<Replica>,
    metrics: Arc<Metrics>,
}

/// Every route.
pub fn router(replica: Arc<Replica>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(Ops { replica, metrics })
}

/// 200 while requests can be decided, else 503.
async fn readyz(State(ops): State<Ops>) -> impl IntoResponse {
    if ops.replica.ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the revocation log is not up to date\n")
    }
}

async fn render(State(ops): State<Ops>) -> impl IntoResponse {
    match ops.metrics.render(ops.replica.figures()) {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

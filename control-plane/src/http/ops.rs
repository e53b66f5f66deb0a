//! For operators and orchestrators, on an address of its own: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;

/// The operations router.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}

/// Ready where the store answers.
async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.store.base().await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let instances = app.instances.list();
    let head = app.store.head().borrow().sequence;
    let lag = instances.iter().map(|instance| head.0.saturating_sub(instance.applied.0)).max();
    app.metrics.instances.set(i64::try_from(instances.len()).unwrap_or(i64::MAX));
    app.metrics.instance_lag.set(i64::try_from(lag.unwrap_or(0)).unwrap_or(i64::MAX));
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.encode()).into_response()
}

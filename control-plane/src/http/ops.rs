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
    let keys = app.keys.list();
    let age = keys.iter().find(|key| key.current).and_then(|key| key.made).map(|made| app.now().since(made));
    app.metrics.master_keys.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
    app.metrics.master_key_age.set(i64::try_from(age.unwrap_or_default().as_secs()).unwrap_or(i64::MAX));
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.encode()).into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::revocation::Scope;
    use portcullis_proto::time::{SystemClock, Timestamp};

    use super::*;
    use crate::app::Parts;
    use crate::client_document::{GuardedWeb, Policy};
    use crate::config;
    use crate::keys::MasterKeys;
    use crate::store::StoreError;
    use crate::store::sled::SledStore;

    const CONFIG: &str = "
providers:
  corp: { kind: oidc, issuer: https://idp.example.com, client_id: portcullis, client_secret: { value: secret } }
servers:
  demo: { url: http://localhost:10000/demo, upstream: http://127.0.0.1:9000/mcp, provider: corp }
";

    #[tokio::test]
    async fn a_store_that_has_failed_is_not_ready() {
        let home = tempfile::tempdir().unwrap();
        let full = |_| -> Box<dyn FnMut() -> Result<(), StoreError> + Send> {
            Box::new(|| Err(StoreError::Backend("the disk is full".into())))
        };
        let store = SledStore::open_with(&home.path().join("store"), &SystemRandom, full).unwrap();
        let app = App::new(Parts {
            identity: None,
            config: config::parse(CONFIG, Path::new("portcullis.yaml"), &|_| None).unwrap(),
            store: Arc::new(store),
            web: Arc::new(GuardedWeb::new(&Policy::default()).unwrap()),
            providers: std::collections::BTreeMap::new(),
            http: crate::provider::Http::new().unwrap(),
            keys: MasterKeys::open(&home.path().join("keys"), &SystemRandom, Timestamp::default()).unwrap(),
            signer: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        });
        assert_eq!(ready(State(app.clone())).await.status(), StatusCode::OK);
        app.revoke(Scope::Everything, "test").await.unwrap_err();
        assert_eq!(ready(State(app)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

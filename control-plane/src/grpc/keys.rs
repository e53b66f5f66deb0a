//! What operators ask about keys.

use std::sync::Arc;

use portcullis_proto::time::Timestamp;
use portcullis_proto::v1;
use tokio::time::Instant;
use tonic::Status;

use super::unavailable;
use crate::app::App;
use crate::keys::{ChangeError, Forbidden, RingKey};
use crate::rewrap;

/// Every key with what hangs on it; also one that rows hang on but the ring does not have, though `serve` refuses to
/// start with such a ring.
pub(super) async fn list(app: &App) -> Result<v1::ListKeysResponse, Status> {
    let mut usage = rewrap::usage(app.store.as_ref()).await.map_err(|error| unavailable(&error))?;
    let told = |RingKey { id, current, made, retired }| v1::MasterKey {
        rows: usage.remove(&id).unwrap_or(0),
        id,
        current,
        made_at_ms: made.map_or(0, Timestamp::as_millis),
        retired_at_ms: retired.map_or(0, Timestamp::as_millis),
    };
    let mut keys: Vec<_> = app.keys.list().into_iter().map(told).collect();
    keys.extend(usage.into_iter().map(|(id, rows)| v1::MasterKey { id, rows, ..Default::default() }));
    Ok(v1::ListKeysResponse { keys })
}

/// A new master key.
pub(super) async fn rotate(app: &Arc<App>) -> Result<String, Status> {
    let rotate = |app: &App| app.keys.rotate(app.random.as_ref(), app.believed_now());
    let id = write(app, rotate).await?.map_err(|error| refused(&error))?;
    tracing::info!(master_key = id, "the master key was rotated");
    Ok(id)
}

/// A new key that signs assertions, and no other.
pub(super) async fn replace_signing(app: &Arc<App>) -> Result<String, Status> {
    let replace = |app: &App| {
        let signer = app.signer.as_ref()?;
        Some(signer.replace(app.believed_now(), Instant::now().into_std()).map_err(ChangeError::from))
    };
    let replaced = write(app, replace).await?;
    let replaced = replaced.ok_or_else(|| Status::failed_precondition("no server gets assertions"))?;
    let id = replaced.map_err(|error| refused(&error))?;
    tracing::info!(kid = id, "the signing keys were replaced");
    Ok(id)
}

/// Whatever hangs on the key, no row of it can be opened any more: so there must be none. None comes either, since a
/// request that sealed something under it before it was retired has ended long ago.
pub(super) async fn forget(app: &Arc<App>, id: String) -> Result<(), Status> {
    let now = app.believed_now();
    app.keys.check_forget(&id, now).map_err(|error| forbidden(&error))?;
    let usage = rewrap::usage(app.store.as_ref()).await.map_err(|error| unavailable(&error))?;
    if let Some(rows) = usage.get(&id) {
        return Err(Status::failed_precondition(format!(
            "{rows} rows still hang on {id}: wait, or see the log"
        )));
    }
    // What was read may not be durable yet: before the key goes, the rows must be under the others for good.
    app.store.settled().await.map_err(|error| unavailable(&error))?;
    let forgotten = id.clone();
    write(app, move |app| app.keys.forget(&forgotten, now)).await?.map_err(|error| refused(&error))?;
    tracing::info!(master_key = id, "a master key was forgotten");
    Ok(())
}

/// Writes a file; done also where the caller goes away.
async fn write<T: Send + 'static>(
    app: &Arc<App>,
    change: impl FnOnce(&App) -> T + Send + 'static,
) -> Result<T, Status> {
    let app = Arc::clone(app);
    let written = tokio::task::spawn_blocking(move || change(&app)).await;
    written.map_err(|_| Status::internal("the keys stay as they are"))
}

fn refused(error: &ChangeError) -> Status {
    match error {
        ChangeError::Forbidden(error) => forbidden(error),
        ChangeError::Keys(error) => {
            tracing::error!(%error, "the keys cannot be written: they stay as they are");
            Status::failed_precondition(format!("the keys stay as they are: {error}"))
        }
    }
}

fn forbidden(error: &Forbidden) -> Status {
    match error {
        Forbidden::Unknown(_) => Status::not_found(error.to_string()),
        Forbidden::Current(_) | Forbidden::Recent { .. } | Forbidden::Full => {
            Status::failed_precondition(error.to_string())
        }
    }
}

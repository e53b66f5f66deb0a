//! From a configuration to an [`App`]: opens what must be open before the first request.

use std::sync::Arc;

use portcullis_proto::random::{Random, SystemRandom};
use portcullis_proto::time::SystemClock;
use thiserror::Error;

use crate::app::{App, Parts};
use crate::config::{Config, StoreConfig};
use crate::keys::{KeysError, MasterKeys};
use crate::provider::Http;
use crate::store::sled::{OpenError, SledStore};
use crate::store::{Store, StoreError};

/// Why the control plane cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The key ring.
    #[error("keys: {0}")]
    Keys(#[from] KeysError),
    /// The store.
    #[error("store: {0}")]
    Open(#[from] OpenError),
    /// The store, once open.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// A store that belongs to other keys.
    #[error("keys: the store has grants, but there was no master key ring: restore it from a backup")]
    KeysLost,
    /// The HTTP client towards providers.
    #[error("the HTTP client for providers cannot be made: {0}")]
    Http(String),
}

/// Opens store and keys, and makes the providers; none of these is asked anything yet.
pub async fn start(config: Config) -> Result<Arc<App>, StartError> {
    let random = Arc::new(SystemRandom);
    let StoreConfig::Sled { path } = &config.store;
    let store: Arc<dyn Store> = Arc::new(SledStore::open(path, random.as_ref())?);
    let has_grants = !store.grants(None, 1).await?.is_empty();
    let keys = open_keys(&config, random.as_ref(), has_grants)?;
    let http = Http::new().map_err(|error| StartError::Http(error.to_string()))?;
    let connect = |settings: &crate::provider::Settings| settings.connect(http.clone());
    let providers =
        config.providers.iter().map(|(name, settings)| (name.clone(), connect(settings))).collect();
    Ok(App::new(Parts { config, store, providers, keys, clock: Arc::new(SystemClock), random }))
}

/// New keys over old grants would lose every one of them, so that is refused before any are made.
fn open_keys(config: &Config, random: &dyn Random, has_grants: bool) -> Result<MasterKeys, StartError> {
    if has_grants && !MasterKeys::exist(&config.keys) {
        return Err(StartError::KeysLost);
    }
    Ok(MasterKeys::open(&config.keys, random)?)
}

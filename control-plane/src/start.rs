//! From a configuration to an [`App`]: opens what must be open before the first request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_proto::belief::DoubtedClock;
use portcullis_proto::mesh::{MeshError, Role};
use portcullis_proto::random::{Random, SystemRandom};
use portcullis_proto::time::{Clock, Timestamp};
use portcullis_proto::token::{Access, Token};
use thiserror::Error;

use crate::app::{App, Parts};
use crate::client_document::GuardedWeb;
use crate::config::{Config, Server, StoreConfig};
use crate::keys::{KeysError, MasterKeys};
use crate::provider::Http;
use crate::rewrap::{self, Usage};
use crate::signing::Signer;
use crate::store::sled::{OpenError, SledStore};
use crate::store::{Store, StoreError};

/// Why the control plane cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The certificate, its key or its authority.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The key ring.
    #[error("keys: {0}")]
    Keys(#[from] KeysError),
    /// The store.
    #[error("store: {0}")]
    Open(#[from] OpenError),
    /// The store, once open.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// Rows that no ring opens.
    #[error(
        "keys: the store has {rows} rows that are sealed under master keys, but in {} there is no master key ring: \
         restore it from a backup",
        path.display()
    )]
    KeysLost {
        /// How many rows.
        rows: u64,
        /// The file.
        path: PathBuf,
    },
    /// Rows that this ring does not open.
    #[error(
        "keys: {} has no key {id:?}, under which {rows} rows of the store are sealed: restore the ring that belongs to \
         this store",
        path.display()
    )]
    KeyLost {
        /// The missing key.
        id: String,
        /// How many rows.
        rows: u64,
        /// The file.
        path: PathBuf,
    },
    /// A clock that says a time before the store was last in use.
    #[error(
        "clock: it says {}, but the store was in use at {}: set the clock, or start with --accept-clock",
        rfc3339(*now), rfc3339(*used)
    )]
    ClockBehind {
        /// What the clock says.
        now: Timestamp,
        /// When the store was in use.
        used: Timestamp,
    },
    /// The HTTP client towards providers.
    #[error("the HTTP client for providers cannot be made: {0}")]
    Http(String),
    /// The HTTP client towards clients' documents.
    #[error("the HTTP client for client metadata documents cannot be made: {0}")]
    Web(String),
}

/// Whether to trust a clock that says a time before the store was last in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// Refuse to start: by such a clock, what has expired would be good again.
    MustAdvance,
    /// An operator says that the clock is right, and was wrong before.
    Accepted,
}

/// What to do where the file of the signing keys is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostSigningKeys {
    /// Refuse to start: perhaps it can be restored.
    Missed,
    /// An operator says that new ones may be made.
    Replaced,
}

/// Opens store and keys, and makes the providers; none of these is asked anything yet.
pub async fn start(config: Config, clocks: Clocks, lost: LostSigningKeys) -> Result<Arc<App>, StartError> {
    let random = Arc::new(SystemRandom);
    let clock = Arc::new(DoubtedClock::default());
    let identity = config.mesh.open(Role::ControlPlane, clock.now())?.map(Arc::new);
    let StoreConfig::Sled { path } = &config.store;
    let store: Arc<dyn Store> = Arc::new(SledStore::open(path, random.as_ref())?);
    if clocks == Clocks::MustAdvance {
        check_clock(store.as_ref(), clock.now()).await?;
    }
    let usage = rewrap::usage(store.as_ref()).await?;
    let keys = open_keys(&config, random.as_ref(), clock.believed(), usage)?;
    let now = clock.now();
    let mark = Token::<Access>::generate(random.as_ref()).id();
    store.begin_work(mark, now, now.after(config.lifetimes.access_token)).await?;
    let http = Http::new().map_err(|error| StartError::Http(error.to_string()))?;
    let connect = |settings: &crate::provider::Settings| settings.connect(http.clone());
    let providers =
        config.providers.iter().map(|(name, settings)| (name.clone(), connect(settings))).collect();
    let signer = open_signer(&config, &keys, clock.as_ref(), lost)?;
    let policy = config.clients.metadata_documents.clone().unwrap_or_default();
    let web = GuardedWeb::new(&policy).map_err(|error| StartError::Web(error.to_string()))?;
    let web = Arc::new(web);
    Ok(App::new(Parts { config, identity, store, web, providers, http, keys, signer, clock, random }))
}

/// What signs assertions, where some server gets them.
pub fn open_signer(
    config: &Config,
    keys: &MasterKeys,
    clock: &dyn Clock,
    lost: LostSigningKeys,
) -> Result<Option<Signer>, KeysError> {
    if !config.servers.values().any(Server::is_told_by_assertion) {
        return Ok(None);
    }
    let make = !keys.has_signing_keys() || lost == LostSigningKeys::Replaced;
    let signer = Signer::open(&config.keys, config.rotate_signing, clock.believed(), make)?;
    if let Err(error) = keys.note_signing_keys() {
        tracing::warn!(%error, "the loss of the signing keys would not be noticed");
    }
    Ok(Some(signer))
}

/// A clock may have been set back by a little.
async fn check_clock(store: &dyn Store, now: Timestamp) -> Result<(), StartError> {
    const TOLERANCE: Duration = Duration::from_mins(1);
    match store.swept_at().await? {
        Some(used) if used.since(now) > TOLERANCE => Err(StartError::ClockBehind { now, used }),
        Some(_) | None => Ok(()),
    }
}

fn rfc3339(time: Timestamp) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(time.as_millis()))
}

/// New keys over old rows would lose every one of them, so that is refused before any are made; and so is a ring that
/// has not all the keys that they need.
fn open_keys(
    config: &Config,
    random: &dyn Random,
    now: Timestamp,
    usage: Usage,
) -> Result<MasterKeys, StartError> {
    let path = MasterKeys::path(&config.keys);
    if !usage.is_empty() && !MasterKeys::exist(&config.keys) {
        return Err(StartError::KeysLost { rows: usage.values().sum(), path });
    }
    let keys = MasterKeys::open(&config.keys, random, now)?;
    match usage.into_iter().find(|(id, _)| !keys.has(id)) {
        Some((id, rows)) => Err(StartError::KeyLost { id, rows, path }),
        None => Ok(keys),
    }
}

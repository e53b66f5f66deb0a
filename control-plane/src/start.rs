//! From a configuration to an [`App`]: opens what must be open before the first request.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_proto::belief::DoubtedClock;
use portcullis_proto::random::{Random, SystemRandom};
use portcullis_proto::time::{Clock, Timestamp};
use portcullis_proto::token::{Access, Token};
use thiserror::Error;

use crate::app::{App, Parts};
use crate::client_document::GuardedWeb;
use crate::config::{Config, Server, StoreConfig};
use crate::keys::{KeysError, MasterKeys};
use crate::provider::Http;
use crate::signing::Signer;
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
    #[error("keys: the store has sealed values, but there was no master key ring: restore it from a backup")]
    KeysLost,
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

/// Opens store and keys, and makes the providers; none of these is asked anything yet.
pub async fn start(config: Config, clocks: Clocks) -> Result<Arc<App>, StartError> {
    let random = Arc::new(SystemRandom);
    let clock = Arc::new(DoubtedClock::default());
    let StoreConfig::Sled { path } = &config.store;
    let store: Arc<dyn Store> = Arc::new(SledStore::open(path, random.as_ref())?);
    if clocks == Clocks::MustAdvance {
        check_clock(store.as_ref(), clock.now()).await?;
    }
    let keys = open_keys(&config, random.as_ref(), store.has_sealed().await?)?;
    let now = clock.now();
    let mark = Token::<Access>::generate(random.as_ref()).id();
    store.begin_work(mark, now, now.after(config.lifetimes.access_token)).await?;
    let http = Http::new().map_err(|error| StartError::Http(error.to_string()))?;
    let connect = |settings: &crate::provider::Settings| settings.connect(http.clone());
    let providers =
        config.providers.iter().map(|(name, settings)| (name.clone(), connect(settings))).collect();
    let signer = open_signer(&config, clock.as_ref())?;
    let policy = config.clients.metadata_documents.clone().unwrap_or_default();
    let web = GuardedWeb::new(&policy).map_err(|error| StartError::Web(error.to_string()))?;
    Ok(App::new(Parts { config, store, providers, http, web: Arc::new(web), keys, signer, clock, random }))
}

/// What signs assertions, where some server gets them.
pub fn open_signer(config: &Config, clock: &dyn Clock) -> Result<Option<Signer>, KeysError> {
    let needed = config.servers.values().any(Server::is_told_by_assertion);
    let open = || Signer::open(&config.keys, config.rotate_signing, clock.believed());
    needed.then(open).transpose()
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

/// New keys over what is sealed under old ones would lose all of it, so that is refused before any are made.
fn open_keys(config: &Config, random: &dyn Random, has_sealed: bool) -> Result<MasterKeys, StartError> {
    if has_sealed && !MasterKeys::exist(&config.keys) {
        return Err(StartError::KeysLost);
    }
    Ok(MasterKeys::open(&config.keys, random)?)
}

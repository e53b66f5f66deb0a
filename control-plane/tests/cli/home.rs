//! A directory with a configuration, where the program keeps its store and keys.

use std::fs;
use std::path::PathBuf;

use portcullis_control_plane::config::StoreConfig;
use portcullis_control_plane::keys::MasterKeys;
use portcullis_control_plane::store::Store;
use portcullis_control_plane::store::sled::SledStore;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::{Clock, SystemClock, Timestamp};
use tempfile::TempDir;

use crate::support::{self, CONFIG, LoggedIn, Login};

pub(crate) struct Home {
    pub(crate) directory: TempDir,
    file: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with(CONFIG)
    }

    pub(crate) fn with(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("portcullis.yaml");
        fs::write(&file, config).unwrap();
        Self { directory, file }
    }

    pub(crate) fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    pub(crate) fn keys(&self) -> PathBuf {
        support::config(self.directory.path()).keys
    }

    /// Leaves in the store what a login leaves there.
    pub(crate) fn log_in(&self) -> LoggedIn {
        let keys = MasterKeys::open(&self.keys(), &SystemRandom, SystemClock.now()).unwrap();
        block_on(support::log_in(&self.store(), &keys, Login::default(), SystemClock.now()))
    }

    /// Leaves in the store what a sweep leaves there.
    pub(crate) fn swept(&self, now: Timestamp) {
        block_on(self.store().sweep(now, 1)).unwrap();
    }

    /// When the store was last swept.
    pub(crate) fn swept_at(&self) -> Timestamp {
        block_on(self.store().swept_at()).unwrap().unwrap()
    }

    pub(crate) fn store_directory(&self) -> PathBuf {
        let StoreConfig::Sled { path } = support::config(self.directory.path()).store;
        path
    }

    fn store(&self) -> SledStore {
        SledStore::open(&self.store_directory(), &SystemRandom).unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

//! The suite on sled, and what only sled can do wrong.

mod crash;
mod damage;
mod durability;
mod opening;
mod owned;

use std::path::Path;

use portcullis_proto::random::SystemRandom;
use tempfile::TempDir;

use super::SledStore;

fn open(path: &Path) -> SledStore {
    SledStore::open(path, &SystemRandom).unwrap()
}

/// A new store, and the directory that goes with it.
pub(super) fn fresh() -> (TempDir, SledStore) {
    let home = tempfile::tempdir().unwrap();
    let store = open(&home.path().join("store"));
    (home, store)
}

mod suite {
    use super::fresh;

    crate::store::contract::contract!(fresh);
}

//! Rows: JSON under their keys. What may be removed at some time carries that time.

use ::sled::{IVec, Tree};
use portcullis_proto::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::Key;
use crate::store::StoreError;

/// A row that is of no use after some time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept<T> {
    /// From when on the sweeper may remove it; `None` for never.
    pub(super) until: Option<Timestamp>,
    /// The row.
    pub(super) row: T,
}

/// What a row is kept until, whatever else it is.
#[derive(Debug, Deserialize)]
pub(super) struct Until {
    pub(super) until: Option<Timestamp>,
}

/// Look-ups, the same for the tree and for an operation that has not been applied yet.
pub(super) trait Read {
    /// What is stored under the key.
    fn bytes(&self, key: &Key) -> Result<Option<IVec>, StoreError>;

    /// The same, decoded.
    fn row<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.bytes(key)?.map(|bytes| decode(key, &bytes)).transpose()
    }

    /// A row with the time that it is kept until.
    fn kept<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<Kept<T>>, StoreError> {
        self.row(key)
    }

    /// A row that is always there, from the store's creation on.
    fn present<T: DeserializeOwned>(&self, key: &Key) -> Result<T, StoreError> {
        self.row(key)?.ok_or_else(|| StoreError::Row { key: key.to_string() })
    }
}

// === impl Read ===

impl Read for Tree {
    fn bytes(&self, key: &Key) -> Result<Option<IVec>, StoreError> {
        self.get(key).map_err(backend)
    }
}

/// The rows from `from` on, up to but without `end`, in the order of their keys.
pub(super) fn scan(
    tree: &Tree,
    from: &Key,
    end: &Key,
) -> impl Iterator<Item = Result<(Key, IVec), StoreError>> + use<> {
    tree.range::<&[u8], _>(from.as_ref()..end.as_ref())
        .map(|pair| pair.map(|(key, bytes)| (Key::from(key.as_ref()), bytes)).map_err(backend))
}

/// The rows after `after`, up to but without `end`, in the order of their keys.
pub(super) fn scan_after(
    tree: &Tree,
    after: &Key,
    end: &Key,
) -> impl Iterator<Item = Result<(Key, IVec), StoreError>> + use<> {
    // The least key above another one is that key and a zero.
    scan(tree, &Key::from([after.as_ref(), &[0]].concat().as_slice()), end)
}

pub(super) fn decode<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| StoreError::Row { key: key.to_string() })
}

pub(super) fn encode<T: Serialize>(key: &Key, row: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(row).map_err(|_| StoreError::Row { key: key.to_string() })
}

pub(super) fn backend(error: impl std::fmt::Display) -> StoreError {
    StoreError::Backend(error.to_string())
}

//! What can go wrong in any store.

use thiserror::Error;

/// The store cannot do its work.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The disk, or the database on it.
    #[error("the store failed: {0}")]
    Backend(String),
    /// A row that we cannot have written.
    #[error("the store holds a row that cannot be read, under {key}")]
    Row {
        /// Its table and key.
        key: String,
    },
    /// The store has been closed, after a failure or for shutdown.
    #[error("the store is closed")]
    Closed,
}

//! What authz instances and operators ask. Protobuf stays in here.

pub mod admin;
mod keys;
pub mod replica;
pub mod watch;

use tonic::Status;

use crate::store::StoreError;

/// A store's failure as a gRPC status: may pass, so the caller tries again.
fn unavailable(error: &StoreError) -> Status {
    tracing::error!(%error, "the store failed");
    Status::unavailable("the store failed")
}

//! A revocation log of the scripted control plane.

use portcullis_proto::ids::Epoch;
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::time::Timestamp;

/// A revocation log's head.
#[derive(Clone, Copy)]
pub(crate) struct Log(pub(crate) Position);

// === impl Log ===

impl Log {
    /// An empty one.
    pub(crate) fn new(epoch: u8) -> Self {
        Self(Position::start(Epoch([epoch; 16])))
    }

    /// Appends an entry.
    pub(crate) fn append(&mut self, scope: Scope) -> Entry {
        let entry = Entry {
            sequence: self.0.sequence.next(),
            at: Timestamp::from_millis(0),
            forget_at: Timestamp::from_millis(u64::MAX),
            scope,
        };
        self.0 = self.0.after(&entry).unwrap();
        entry
    }
}

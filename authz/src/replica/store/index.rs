//! The records' values, by token: one look into memory in the place of sled's way down its tree, on which it compares some
//! twenty keys, each somewhere else in memory.
//!
//! What is here is what sled has: only the committer changes either, the index behind the tree. It begins empty, gets
//! each record that is written, and all the others from the sweep, which passes by them anyway. A value is in memory
//! once, as sled counts who holds it; a record costs some 120 bytes more.

use std::hash::{BuildHasherDefault, Hasher};

use papaya::HashMap;
use portcullis_proto::ids::TokenId;
use sled::IVec;

/// A map that is read without a lock.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<TokenId, IVec, BuildHasherDefault<First>>);

/// A token's id is a hash already, and nobody chooses it: some of it will do.
#[derive(Debug, Default)]
struct First(u64);

// === impl Index ===

impl Index {
    /// What sled has of this token, where it is here yet.
    pub(super) fn get(&self, id: &TokenId) -> Option<IVec> {
        self.0.pin().get(id).cloned()
    }

    /// A record that was found in sled.
    pub(super) fn add(&self, id: TokenId, value: IVec) {
        let map = self.0.pin();
        // Where sled has let go of a page and read it again, it has a copy of its own.
        if map.get(&id).is_none_or(|ours| ours.as_ptr() != value.as_ptr()) {
            map.insert(id, value);
        }
    }

    /// What was changed in sled: `None` where a record was removed.
    pub(super) fn follow(&self, changes: Vec<(TokenId, Option<IVec>)>) {
        let map = self.0.pin();
        for (id, value) in changes {
            match value {
                Some(value) => map.insert(id, value),
                None => map.remove(&id),
            };
        }
    }
}

// === impl First ===

impl Hasher for First {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

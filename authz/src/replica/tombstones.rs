//! What has been revoked and may still have live tokens.

use std::collections::HashMap;

use portcullis_proto::ids::Sequence;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

/// The entries of the revocation log that can still hit a token.
#[derive(Debug, Default)]
pub struct Tombstones(HashMap<Scope, Tombstone>);

/// All entries of one scope in one.
#[derive(Clone, Copy, Debug)]
struct Tombstone {
    /// Of the latest of them.
    sequence: Sequence,
    /// When none of them can hit a token any more.
    forget_at: Timestamp,
}

// === impl Tombstones ===

impl Tombstones {
    /// Puts an entry in force.
    pub fn add(&mut self, entry: &Entry) {
        let new = Tombstone { sequence: entry.sequence, forget_at: entry.forget_at };
        self.0
            .entry(entry.scope.clone())
            .and_modify(|old| {
                old.sequence = old.sequence.max(new.sequence);
                old.forget_at = old.forget_at.max(new.forget_at);
            })
            .or_insert(new);
    }

    /// Whether a token has been revoked. An entry that names the token or its grant hits it always; one
    /// that names more hits what was born before it.
    pub fn hit(&self, record: &TokenRecord) -> bool {
        if self.0.is_empty() {
            return false;
        }
        Scope::hitting(record).iter().any(|scope| {
            self.0.get(scope).is_some_and(|tombstone| match scope {
                Scope::Token(_) | Scope::Grant(_) => true,
                Scope::Client(_) | Scope::Subject(..) | Scope::Server(_) | Scope::Everything => {
                    record.born < tombstone.sequence
                }
            })
        })
    }

    /// Forgets a scope, where nothing that it could hit was alive at `cutoff`.
    pub fn forget(&mut self, scope: &Scope, cutoff: Timestamp) {
        if self.0.get(scope).is_some_and(|tombstone| tombstone.forget_at <= cutoff) {
            self.0.remove(scope);
        }
    }

    /// How many scopes are revoked.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_proto::ids::ClientId;

    use super::*;
    use crate::testing::record;

    fn entry(sequence: u64, forget_at: u64, scope: Scope) -> Entry {
        Entry {
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(0),
            forget_at: Timestamp::from_millis(forget_at),
            scope,
        }
    }

    #[test]
    fn a_wide_entry_hits_what_was_born_before_it_and_nothing_later() {
        let mut tombstones = Tombstones::default();
        tombstones.add(&entry(5, 100, Scope::Everything));
        let born = |sequence| TokenRecord { born: Sequence(sequence), ..record() };
        assert!(tombstones.hit(&born(4)));
        assert!(!tombstones.hit(&born(5)));
        assert!(!tombstones.hit(&born(6)));
    }

    #[test]
    fn a_narrow_entry_hits_whenever_the_token_was_born() {
        for scope in [Scope::Token(record().token), Scope::Grant(record().grant)] {
            let mut tombstones = Tombstones::default();
            tombstones.add(&entry(5, 100, scope));
            assert!(tombstones.hit(&TokenRecord { born: Sequence(9), ..record() }));
        }
    }

    #[test]
    fn a_repeated_scope_keeps_the_later_entry_and_the_longer_life() {
        let mut tombstones = Tombstones::default();
        let scope = Scope::Client(ClientId::new("client"));
        tombstones.add(&entry(5, 200, scope.clone()));
        tombstones.add(&entry(7, 100, scope.clone()));
        assert!(tombstones.hit(&TokenRecord { born: Sequence(6), ..record() }));
        tombstones.forget(&scope, Timestamp::from_millis(199));
        assert_eq!(tombstones.len(), 1);
        tombstones.forget(&scope, Timestamp::from_millis(200));
        assert!(tombstones.is_empty());
    }
}

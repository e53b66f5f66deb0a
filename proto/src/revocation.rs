//! The revocation log: an append-only sequence, whose entries authz keeps as tombstones.
//!
//! Its time is its own sequence number. A token carries the log's head as it was when the token was
//! issued (`born`); an entry that names more than one token hits what was born before it. No wall clock
//! takes part, so none that jumps can bring a token back or kill a new one.

use aws_lc_rs::digest;
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, Epoch, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use crate::record::TokenRecord;
use crate::time::Timestamp;
use crate::v1;

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// One access token.
    Token(TokenId),
    /// A grant, with every token under it.
    Grant(GrantId),
    /// All that a client has been granted so far.
    Client(ClientId),
    /// All that a user has granted so far.
    Subject(ProviderName, Subject),
    /// All that has been granted at an MCP server so far.
    Server(ServerName),
    /// All that has been granted so far.
    Everything,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; consecutive.
    pub sequence: Sequence,
    /// When it was appended.
    pub at: Timestamp,
    /// When every access token that it could hit has expired.
    pub forget_at: Timestamp,
    /// What it revokes.
    pub scope: Scope,
}

/// A point in one revocation log. Two positions are equal only where the logs agree up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which log.
    pub epoch: Epoch,
    /// The last entry before this point.
    pub sequence: Sequence,
    /// SHA-256, chained over the entries up to that one.
    #[serde(with = "crate::base64_text")]
    pub digest: [u8; 32],
}

// === impl Scope ===

impl Scope {
    /// The scopes that an entry must have to hit this token, narrowest first.
    pub fn hitting(record: &TokenRecord) -> [Self; 6] {
        [
            Self::Token(record.token),
            Self::Grant(record.grant.clone()),
            Self::Client(record.client.clone()),
            Self::Subject(record.provider.clone(), record.subject.clone()),
            Self::Server(record.server.clone()),
            Self::Everything,
        ]
    }
}

// === impl Position ===

impl Position {
    /// Before the first entry.
    pub const fn start(epoch: Epoch) -> Self {
        Self { epoch, sequence: Sequence(0), digest: [0; 32] }
    }

    /// After `entry`, where it is the one that follows this position.
    pub fn after(self, entry: &Entry) -> Option<Self> {
        if entry.sequence != self.sequence.next() {
            return None;
        }
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.digest);
        context.update(&v1::Entry::from(entry.clone()).encode_to_vec());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Some(Self { epoch: self.epoch, sequence: entry.sequence, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, client: &str) -> Entry {
        Entry {
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(1),
            forget_at: Timestamp::from_millis(2),
            scope: Scope::Client(ClientId::new(client)),
        }
    }

    #[test]
    fn positions_agree_only_where_the_logs_do() {
        let start = Position::start(Epoch([7; 16]));
        let one = start.after(&entry(1, "a")).and_then(|position| position.after(&entry(2, "b")));
        let same = start.after(&entry(1, "a")).and_then(|position| position.after(&entry(2, "b")));
        let other = start.after(&entry(1, "x")).and_then(|position| position.after(&entry(2, "b")));
        assert_eq!(one, same);
        assert_ne!(one, other);
    }

    #[test]
    fn no_entry_is_skipped_or_repeated() {
        let start = Position::start(Epoch([7; 16]));
        assert_eq!(start.after(&entry(2, "a")), None);
        assert_eq!(start.after(&entry(1, "a")).unwrap().after(&entry(1, "a")), None);
    }
}

//! Keys of the one sled tree: a byte that names the table, then the row's own identifier.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_proto::ids::{ClientId, GrantId, Sequence, TokenId};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::oauth::pending::StateId;

/// What a row is: the first byte of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Single values about the store itself.
    Meta,
    /// Registered clients.
    Client,
    /// What is good once and has been used.
    Used,
    /// Logins under way.
    Pending,
    /// Authorization codes.
    Code,
    /// Grants.
    Grant,
    /// Access tokens.
    Access,
    /// Refresh tokens.
    Refresh,
    /// What wide revocations have ended.
    Cutoff,
    /// The revocation log.
    Log,
    /// Which row to look at when.
    Expiry,
}

/// A single value about the store itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meta {
    /// Whose store this is, and in which format.
    Format,
    /// The log's head.
    Head,
    /// The oldest position from which the log can be followed.
    Base,
    /// The latest expiry of any access token ever issued.
    LatestAccessExpiry,
    /// How many clients nobody has logged in with.
    UnusedClients,
    /// How many logins are under way.
    Logins,
    /// How far the sweeper has come in looking for grants that a wide revocation has ended.
    Pass,
    /// The time that sweeps have noted.
    SweptAt,
}

/// A key in the tree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

// === impl Table ===

impl Table {
    const ALL: [Self; 11] = [
        Self::Meta,
        Self::Client,
        Self::Used,
        Self::Pending,
        Self::Code,
        Self::Grant,
        Self::Access,
        Self::Refresh,
        Self::Cutoff,
        Self::Log,
        Self::Expiry,
    ];

    const fn prefix(self) -> u8 {
        match self {
            Self::Meta => b'm',
            Self::Client => b'c',
            Self::Used => b'j',
            Self::Pending => b'p',
            Self::Code => b'o',
            Self::Grant => b'g',
            Self::Access => b'a',
            Self::Refresh => b'r',
            Self::Cutoff => b'u',
            Self::Log => b'l',
            Self::Expiry => b'x',
        }
    }
}

// === impl Meta ===

impl Meta {
    const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Head => "head",
            Self::Base => "base",
            Self::LatestAccessExpiry => "latest-access-expiry",
            Self::UnusedClients => "unused-clients",
            Self::Logins => "logins",
            Self::Pass => "pass",
            Self::SweptAt => "swept-at",
        }
    }
}

// === impl Key ===

impl Key {
    fn new(table: Table, id: &[u8]) -> Self {
        Self([&[table.prefix()], id].concat())
    }

    pub(super) fn meta(meta: Meta) -> Self {
        Self::new(Table::Meta, meta.name().as_bytes())
    }

    pub(super) fn client(id: &ClientId) -> Self {
        Self::new(Table::Client, id.as_str().as_bytes())
    }

    pub(super) fn used(id: &TokenId) -> Self {
        Self::new(Table::Used, id.as_bytes())
    }

    pub(super) fn pending(id: &StateId) -> Self {
        Self::new(Table::Pending, &id.0)
    }

    pub(super) fn code(id: &TokenId) -> Self {
        Self::new(Table::Code, id.as_bytes())
    }

    pub(super) fn grant(id: &GrantId) -> Self {
        Self::new(Table::Grant, id.as_str().as_bytes())
    }

    pub(super) fn access(id: &TokenId) -> Self {
        Self::new(Table::Access, id.as_bytes())
    }

    pub(super) fn refresh(id: &TokenId) -> Self {
        Self::new(Table::Refresh, id.as_bytes())
    }

    /// Where a wide scope has its cutoff. A narrow one has none: the row that it names is removed. Names come
    /// length first, so that no two scopes share a key.
    pub(super) fn cutoff(scope: &Scope) -> Option<Self> {
        let (kind, names): (u8, &[&str]) = match scope {
            Scope::Token(_) | Scope::Grant(_) => return None,
            Scope::Client(id) => (b'c', &[id.as_str()]),
            Scope::Subject(provider, subject) => (b's', &[provider.as_str(), subject.as_str()]),
            Scope::Server(name) => (b'v', &[name.as_str()]),
            Scope::Everything => (b'e', &[]),
        };
        let mut id = vec![kind];
        for name in names {
            id.extend_from_slice(&(name.len() as u64).to_be_bytes());
            id.extend_from_slice(name.as_bytes());
        }
        Some(Self::new(Table::Cutoff, &id))
    }

    pub(super) fn log(sequence: Sequence) -> Self {
        Self::new(Table::Log, &sequence.0.to_be_bytes())
    }

    /// Tells the sweeper to look at the row under `of` once it is `until`.
    pub(super) fn expiry(until: Timestamp, of: &Self) -> Self {
        Self::new(Table::Expiry, &[until.as_millis().to_be_bytes().as_slice(), &of.0].concat())
    }

    /// Below every key of the table.
    pub(super) fn first(table: Table) -> Self {
        Self::new(table, &[])
    }

    /// Above every key of the table.
    pub(super) fn end(table: Table) -> Self {
        Self(vec![table.prefix() + 1])
    }

    /// Above every expiry at or before `now`.
    pub(super) fn expiry_end(now: Timestamp) -> Self {
        match now.as_millis().checked_add(1) {
            Some(next) => Self::new(Table::Expiry, &next.to_be_bytes()),
            None => Self::end(Table::Expiry),
        }
    }

    /// The row that an expiry key speaks of.
    pub(super) fn expiring(&self) -> Option<Self> {
        self.0.get(1 + size_of::<u64>()..).filter(|key| !key.is_empty()).map(|key| Self(key.to_vec()))
    }

    pub(super) fn table(&self) -> Option<Table> {
        Table::ALL.into_iter().find(|table| self.0.first() == Some(&table.prefix()))
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// The table and the identifier, with what is not text escaped. No identifier is a secret.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table() {
            Some(table) => write!(f, "{table:?} {}", self.0[1..].escape_ascii()),
            None => self.0.escape_ascii().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_proto::ids::{ProviderName, ServerName, Subject};

    use super::*;

    #[test]
    fn every_table_has_a_prefix_of_its_own_and_none_lies_inside_another() {
        for table in Table::ALL {
            assert_eq!(Key::first(table).table(), Some(table));
            assert!(Table::ALL.iter().all(|other| *other == table || other.prefix() != table.prefix()));
        }
    }

    #[test]
    fn expiries_sort_by_time_and_lead_back_to_their_row() {
        let row = Key::client(&ClientId::new("c"));
        let (soon, late) = (Timestamp::from_millis(255), Timestamp::from_millis(256));
        assert!(Key::expiry(soon, &row) < Key::expiry_end(soon));
        assert!(Key::expiry_end(soon) < Key::expiry(late, &row));
        assert!(
            Key::expiry(Timestamp::from_millis(u64::MAX), &row)
                < Key::expiry_end(Timestamp::from_millis(u64::MAX))
        );
        assert!(Key::expiry(late, &row).expiring() == Some(row));
    }

    #[test]
    fn no_two_scopes_share_a_key() {
        let subject = |provider: &str, subject: &str| {
            Scope::Subject(ProviderName::new(provider), Subject::new(subject))
        };
        assert!(Key::cutoff(&subject("a", "bc")) != Key::cutoff(&subject("ab", "c")));
        let client = Scope::Client(ClientId::new("x"));
        assert!(Key::cutoff(&client) != Key::cutoff(&Scope::Server(ServerName::new("x"))));
        assert!(Key::cutoff(&Scope::Grant(GrantId::new("x"))).is_none());
    }
}

//! Keys of the one sled tree: a byte that names the table, then the row's own identifier.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::revocation::Scope;
use portcullis_proto::seal::Owner;
use portcullis_proto::time::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) use super::tables::{Meta, Table};
use crate::oauth::enrolment::EnrolmentId;
use crate::oauth::pending::StateId;
use crate::oauth::provider_client::ProviderClientId;
use crate::oauth::session::SessionId;
use crate::oauth::user_token::Holder;

/// A key in the tree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

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

    /// A client at a provider, of one of our own clients: that one's id comes first, length first.
    pub(super) fn provider_client(client: &ClientId, id: &ProviderClientId) -> Self {
        Self([&Self::provider_clients(client).0, id.as_ref().as_bytes()].concat())
    }

    /// Below every provider client of this client.
    pub(super) fn provider_clients(client: &ClientId) -> Self {
        let length = (client.as_str().len() as u64).to_be_bytes();
        Self::new(Table::ProviderClient, &[length.as_slice(), client.as_str().as_bytes()].concat())
    }

    /// Above every provider client of this client: their own ids are text.
    pub(super) fn provider_clients_end(client: &ClientId) -> Self {
        Self([&Self::provider_clients(client).0, [u8::MAX].as_slice()].concat())
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

    pub(super) fn enrolment(id: &EnrolmentId) -> Self {
        Self::new(Table::Enrolment, &id.0)
    }

    pub(super) fn user_token(holder: &Holder) -> Self {
        Self::new(Table::UserToken, &holder.name())
    }

    pub(super) fn session(id: &SessionId) -> Self {
        Self::new(Table::Session, &id.0)
    }

    /// Says that a user has a grant.
    pub(super) fn grant_of(provider: &ProviderName, subject: &Subject, grant: &GrantId) -> Self {
        let (first, _) = Self::grants_of(provider, subject);
        Self([first.as_ref(), grant.as_str().as_bytes()].concat())
    }

    /// Below and above all that a user has.
    pub(super) fn grants_of(provider: &ProviderName, subject: &Subject) -> (Self, Self) {
        Self::new(Table::GrantOf, &length_first(&[provider.as_str(), subject.as_str()])).with_end()
    }

    /// Says that a grant has an access token.
    pub(super) fn access_of(grant: &GrantId, id: &TokenId) -> Self {
        let (first, _) = Self::access_tokens_of(grant);
        Self([first.as_ref(), id.as_bytes()].concat())
    }

    /// Below and above all that a grant has.
    pub(super) fn access_tokens_of(grant: &GrantId) -> (Self, Self) {
        Self::new(Table::AccessOf, &length_first(&[grant.as_str()])).with_end()
    }

    /// A prefix, and what is above all that begins with it. A table's byte is no 255, so there is one.
    fn with_end(self) -> (Self, Self) {
        let mut end = self.0.clone();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        (self, Self(end))
    }

    /// What stands behind a prefix of it.
    pub(super) fn below(&self, prefix: &Self) -> &[u8] {
        self.0.get(prefix.0.len()..).unwrap_or_default()
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
        Some(Self::new(Table::Cutoff, &[&[kind], length_first(names).as_slice()].concat()))
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

    /// The access token whose row this is the key of.
    pub(super) fn access_id(&self) -> Option<TokenId> {
        TokenId::from_slice(self.0.get(1..)?).filter(|_| self.table() == Some(Table::Access))
    }

    /// The client that the key is of.
    pub(super) fn as_client(&self) -> Option<ClientId> {
        let id = self.0.strip_prefix(&[Table::Client.prefix()])?;
        std::str::from_utf8(id).ok().map(ClientId::new)
    }

    /// The enrolment that the key is of.
    pub(super) fn as_enrolment(&self) -> Option<[u8; 32]> {
        self.0.strip_prefix(&[Table::Enrolment.prefix()])?.try_into().ok()
    }

    /// The holder of the token that the key is of: the names, each after its length.
    pub(super) fn as_holder(&self) -> Option<Holder> {
        let mut rest = self.0.strip_prefix(&[Table::UserToken.prefix()])?;
        let mut name = || {
            let (length, behind) = rest.split_first_chunk()?;
            let (name, behind) =
                behind.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
            rest = behind;
            std::str::from_utf8(name).ok()
        };
        let (provider, subject, server) = (name()?, name()?, name()?);
        rest.is_empty().then(|| Holder {
            provider: ProviderName::new(provider),
            subject: Subject::new(subject),
            server: ServerName::new(server),
        })
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

/// Names, each after its length in 8 bytes: no two lists of so many give the same bytes.
fn length_first(names: &[&str]) -> Vec<u8> {
    let each = |name: &&str| [&(name.len() as u64).to_be_bytes(), name.as_bytes()].concat();
    names.iter().flat_map(each).collect()
}

#[cfg(test)]
mod tests;

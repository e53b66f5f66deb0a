//! Between the protobuf messages and the types that the services work with.

use bytestring::ByteString;
use thiserror::Error;

use crate::ids::{ClientId, Epoch, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use crate::record::TokenRecord;
use crate::revocation::{Entry, Position, Scope};
use crate::seal::Sealed;
use crate::time::Timestamp;
use crate::v1;

/// A message that the other side cannot have meant.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("malformed message: {0}")]
pub struct Malformed(pub &'static str);

// === TokenRecord ===

impl From<TokenRecord> for v1::TokenRecord {
    fn from(record: TokenRecord) -> Self {
        Self {
            token_id: record.token.as_bytes().to_vec(),
            grant_id: record.grant.into(),
            client_id: record.client.into(),
            provider: record.provider.into(),
            subject: record.subject.into(),
            email: record.email.unwrap_or_default().into(),
            server: record.server.into(),
            scopes: record.scopes.into_iter().map(String::from).collect(),
            issued_at_ms: record.issued_at.as_millis(),
            expires_at_ms: record.expires_at.as_millis(),
            born: record.born.0,
            wrapped_key: record.wrapped_key.into_bytes(),
            sealed_credential: record.credential.into_bytes(),
            credential_expires_at_ms: record.credential_expires_at.map_or(0, Timestamp::as_millis),
            credential_revision: record.credential_revision,
        }
    }
}

impl TryFrom<v1::TokenRecord> for TokenRecord {
    type Error = Malformed;

    fn try_from(message: v1::TokenRecord) -> Result<Self, Malformed> {
        Ok(Self {
            token: token_id(&message.token_id)?,
            grant: GrantId::new(message.grant_id),
            client: ClientId::new(message.client_id),
            provider: ProviderName::new(message.provider),
            subject: Subject::new(message.subject),
            email: Some(message.email).filter(|email| !email.is_empty()).map(ByteString::from),
            server: ServerName::new(message.server),
            scopes: message.scopes.into_iter().map(ByteString::from).collect(),
            issued_at: Timestamp::from_millis(message.issued_at_ms),
            expires_at: Timestamp::from_millis(message.expires_at_ms),
            born: Sequence(message.born),
            wrapped_key: Sealed::from_bytes(message.wrapped_key),
            credential: Sealed::from_bytes(message.sealed_credential),
            credential_expires_at: Some(message.credential_expires_at_ms)
                .filter(|&at| at != 0)
                .map(Timestamp::from_millis),
            credential_revision: message.credential_revision,
        })
    }
}

// === Entry ===

impl From<Entry> for v1::Entry {
    fn from(entry: Entry) -> Self {
        Self {
            sequence: entry.sequence.0,
            at_ms: entry.at.as_millis(),
            forget_at_ms: entry.forget_at.as_millis(),
            scope: Some(entry.scope.into()),
        }
    }
}

impl TryFrom<v1::Entry> for Entry {
    type Error = Malformed;

    fn try_from(message: v1::Entry) -> Result<Self, Malformed> {
        Ok(Self {
            sequence: Sequence(message.sequence),
            at: Timestamp::from_millis(message.at_ms),
            forget_at: Timestamp::from_millis(message.forget_at_ms),
            scope: message.scope.ok_or(Malformed("entry without scope"))?.try_into()?,
        })
    }
}

// === Scope ===

impl From<Scope> for v1::Scope {
    fn from(scope: Scope) -> Self {
        use v1::scope::Kind;
        let kind = match scope {
            Scope::Token(id) => Kind::TokenId(id.as_bytes().to_vec()),
            Scope::Grant(id) => Kind::GrantId(id.into()),
            Scope::Client(id) => Kind::ClientId(id.into()),
            Scope::Subject(provider, subject) => {
                Kind::Subject(v1::SubjectScope { provider: provider.into(), subject: subject.into() })
            }
            Scope::Server(name) => Kind::Server(name.into()),
            Scope::Everything => Kind::Everything(v1::Everything {}),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Scope> for Scope {
    type Error = Malformed;

    fn try_from(message: v1::Scope) -> Result<Self, Malformed> {
        use v1::scope::Kind;
        Ok(match message.kind.ok_or(Malformed("scope of an unknown kind"))? {
            Kind::TokenId(id) => Self::Token(token_id(&id)?),
            Kind::GrantId(id) => Self::Grant(GrantId::new(id)),
            Kind::ClientId(id) => Self::Client(ClientId::new(id)),
            Kind::Subject(v1::SubjectScope { provider, subject }) => {
                Self::Subject(ProviderName::new(provider), Subject::new(subject))
            }
            Kind::Server(name) => Self::Server(ServerName::new(name)),
            Kind::Everything(v1::Everything {}) => Self::Everything,
        })
    }
}

// === Position ===

impl From<Position> for v1::Position {
    fn from(position: Position) -> Self {
        Self {
            epoch: position.epoch.0.to_vec(),
            sequence: position.sequence.0,
            digest: position.digest.to_vec(),
        }
    }
}

impl TryFrom<v1::Position> for Position {
    type Error = Malformed;

    fn try_from(message: v1::Position) -> Result<Self, Malformed> {
        let epoch = message.epoch.try_into().map_err(|_| Malformed("epoch is not 16 bytes"))?;
        let digest = message.digest.try_into().map_err(|_| Malformed("digest is not 32 bytes"))?;
        Ok(Self { epoch: Epoch(epoch), sequence: Sequence(message.sequence), digest })
    }
}

fn token_id(bytes: &[u8]) -> Result<TokenId, Malformed> {
    TokenId::from_slice(bytes).ok_or(Malformed("token id is not 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_survives_the_wire() {
        let scopes = [
            Scope::Token(TokenId::of("t")),
            Scope::Grant(GrantId::new("g")),
            Scope::Client(ClientId::new("c")),
            Scope::Subject(ProviderName::new("p"), Subject::new("s")),
            Scope::Server(ServerName::new("m")),
            Scope::Everything,
        ];
        for scope in scopes {
            assert_eq!(Scope::try_from(v1::Scope::from(scope.clone())), Ok(scope));
        }
    }

    #[test]
    fn an_empty_scope_revokes_nothing() {
        assert!(Scope::try_from(v1::Scope::default()).is_err());
    }
}

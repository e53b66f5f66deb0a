//! Opening what the MCP server is to receive. It takes the permit, and the caller's own token.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderName, HeaderValue};
use portcullis_proto::seal::{Field, OpenError, SealingKey};
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Presented};
use prost::Message;
use thiserror::Error;

use crate::decide::Permit;

/// How long before its expiry a credential is renewed.
const RENEW_AHEAD: Duration = Duration::from_mins(1);

/// Header fields for the MCP server, with lower-case names.
pub struct Credential(Vec<(ByteString, ByteString)>);

/// A `portcullis.v1.Credential`, of which every text is a part of the message that it was decoded from.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct Opened {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<Header>,
}

/// A `portcullis.v1.Header`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct Header {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// How much longer a credential can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Long enough.
    Ample,
    /// For now, but it should be renewed.
    Short,
    /// It was made by settings that are not the server's any more.
    Outdated,
    /// No more.
    Over,
}

/// A permitted request's credential cannot be had.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unusable {
    /// Sealed for something else, or damaged.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// Not a `Credential` message.
    #[error("an opened credential does not decode")]
    Encoding,
    /// A name or value that no header field can have.
    #[error("an opened credential is not a set of header fields")]
    Header,
}

/// How long the permitted request's credential lasts, at a server that makes its credentials as `revision` says.
pub fn lifetime(permit: &Permit<'_>, revision: u64, now: Timestamp) -> Lifetime {
    let record = permit.record();
    match record.credential_expires_at {
        Some(expiry) if expiry <= now => Lifetime::Over,
        _ if record.credential_revision != revision => Lifetime::Outdated,
        Some(expiry) if expiry <= now.after(RENEW_AHEAD) => Lifetime::Short,
        _ => Lifetime::Ample,
    }
}

// === impl Credential ===

impl Credential {
    /// Opens the credential with the token that the request came with.
    pub fn open(permit: &Permit<'_>, token: Presented<'_, Access>) -> Result<Self, Unusable> {
        let record = permit.record();
        let data_key = SealingKey::of_token(token).unwrap_key(
            &record.grant,
            Field::DataKeyForToken,
            &record.wrapped_key,
        )?;
        let message = data_key.open(&record.grant, Field::Credential, &record.credential)?;
        // What is made of the opened message are parts of it: with the last of them, it is erased.
        let message = Opened::decode(Bytes::from_owner(message)).map_err(|_| Unusable::Encoding)?;
        message.headers.into_iter().map(header).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it has a header of this name.
    pub fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// The header fields, for the one answer that carries them.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|(name, _)| name).collect();
        write!(f, "Credential({names:?}, [REDACTED])")
    }
}

fn header(header: Header) -> Result<(ByteString, ByteString), Unusable> {
    let text = |bytes: Bytes| ByteString::try_from(bytes).map_err(|_| Unusable::Encoding);
    let (name, value) = (text(header.name)?, text(header.value)?);
    // Not `from_str`, which copies what is to be erased.
    let is_visible = |value: HeaderValue| value.to_str().is_ok();
    let valid = HeaderName::from_lowercase(name.as_bytes()).is_ok()
        && HeaderValue::from_maybe_shared(value.as_bytes().clone()).is_ok_and(is_visible);
    valid.then_some((name, value)).ok_or(Unusable::Header)
}

#[cfg(test)]
mod tests {
    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::record::TokenRecord;
    use portcullis_proto::token::Token;

    use super::*;
    use crate::decide::decide;
    use crate::replica::tombstones::Tombstones;
    use crate::testing::{record, seal, server};

    const NOW: Timestamp = Timestamp::from_millis(2_000);

    fn open(record: &TokenRecord, token: &Token<Access>) -> Result<Credential, Unusable> {
        let (server, tombstones) = (server(), Tombstones::default());
        let permit = decide(&server, record, &tombstones, NOW).unwrap();
        Credential::open(&permit, token.as_presented())
    }

    #[test]
    fn a_credential_opens_with_its_own_token_only() {
        let (token, other) = (Token::generate(&SystemRandom), Token::generate(&SystemRandom));
        let record = seal(record(), &token, &[("authorization", "Bearer provider")]);
        let credential = open(&record, &token).unwrap();
        assert!(credential.names("authorization") && !credential.names("cookie"));
        assert!(!format!("{credential:?}").contains("provider"));
        assert_eq!(open(&record, &other).unwrap_err(), Unusable::Sealed(OpenError));
    }

    #[test]
    fn what_is_no_header_field_is_not_sent() {
        let token = Token::generate(&SystemRandom);
        for header in [
            ("authorization", "Bearer a\r\nx-admin: 1"),
            ("authorization", "Bearer \0"),
            ("Authorization", "Bearer a"),
            (":path", "/admin"),
            ("a b", "c"),
            ("", "c"),
        ] {
            assert_eq!(
                open(&seal(record(), &token, &[header]), &token).unwrap_err(),
                Unusable::Header,
                "{header:?}"
            );
        }
    }

    #[test]
    fn a_credential_is_renewed_in_its_last_minute() {
        let lifetime = |expiry: Option<u64>| {
            let record =
                TokenRecord { credential_expires_at: expiry.map(Timestamp::from_millis), ..record() };
            let (server, tombstones) = (server(), Tombstones::default());
            lifetime(&decide(&server, &record, &tombstones, NOW).unwrap(), 0, NOW)
        };
        assert_eq!(lifetime(None), Lifetime::Ample);
        assert_eq!(lifetime(Some(62_001)), Lifetime::Ample);
        assert_eq!(lifetime(Some(62_000)), Lifetime::Short);
        assert_eq!(lifetime(Some(2_001)), Lifetime::Short);
        assert_eq!(lifetime(Some(2_000)), Lifetime::Over);
    }

    #[test]
    fn a_credential_of_other_settings_is_outdated_while_it_lasts() {
        let lifetime = |made_by, expiry: u64| {
            let record = TokenRecord {
                credential_expires_at: Some(Timestamp::from_millis(expiry)),
                credential_revision: made_by,
                ..record()
            };
            let (server, tombstones) = (server(), Tombstones::default());
            lifetime(&decide(&server, &record, &tombstones, NOW).unwrap(), 7, NOW)
        };
        assert_eq!(lifetime(7, 62_001), Lifetime::Ample);
        for another in [0, 6, 8, u64::MAX] {
            assert_eq!(lifetime(another, 62_001), Lifetime::Outdated);
            assert_eq!(lifetime(another, 2_001), Lifetime::Outdated);
            assert_eq!(lifetime(another, 2_000), Lifetime::Over);
        }
    }
}

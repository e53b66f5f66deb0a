//! Reading a record where it stands: one allocation for all of its texts, which is the row as sled has it.

use bytes::Bytes;
use bytestring::ByteString;
use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;
use prost::Message;

/// A `portcullis.v1.TokenRecord`, of which every text is a part of the message that it was decoded from.
#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(bytes = "bytes", tag = "1")]
    token_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    grant_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    client_id: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    provider: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    subject: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    email: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    server: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    scopes: Vec<Bytes>,
    #[prost(uint64, tag = "9")]
    issued_at_ms: u64,
    #[prost(uint64, tag = "10")]
    expires_at_ms: u64,
    #[prost(uint64, tag = "11")]
    born: u64,
    #[prost(bytes = "bytes", tag = "12")]
    wrapped_key: Bytes,
    #[prost(bytes = "bytes", tag = "13")]
    sealed_credential: Bytes,
    #[prost(uint64, tag = "14")]
    credential_expires_at_ms: u64,
    #[prost(uint64, tag = "15")]
    credential_revision: u64,
}

/// The record that a message is.
pub(super) fn decode(message: Bytes) -> Option<TokenRecord> {
    let record = Record::decode(message).ok()?;
    Some(TokenRecord {
        token: TokenId::from_slice(&record.token_id)?,
        grant: GrantId::new(text(record.grant_id)?),
        client: ClientId::new(text(record.client_id)?),
        provider: ProviderName::new(text(record.provider)?),
        subject: Subject::new(text(record.subject)?),
        email: Some(text(record.email)?).filter(|email| !email.is_empty()),
        server: ServerName::new(text(record.server)?),
        scopes: record.scopes.into_iter().map(text).collect::<Option<_>>()?,
        issued_at: Timestamp::from_millis(record.issued_at_ms),
        expires_at: Timestamp::from_millis(record.expires_at_ms),
        born: Sequence(record.born),
        wrapped_key: Sealed::from_bytes(record.wrapped_key),
        credential: Sealed::from_bytes(record.sealed_credential),
        credential_expires_at: Some(record.credential_expires_at_ms)
            .filter(|&at| at != 0)
            .map(Timestamp::from_millis),
        credential_revision: record.credential_revision,
    })
}

fn text(bytes: Bytes) -> Option<ByteString> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use portcullis_proto::v1;
    use proptest::prelude::*;

    use super::*;

    fn message(texts: &[String], blobs: &[Vec<u8>], numbers: &[u64]) -> v1::TokenRecord {
        v1::TokenRecord {
            token_id: blobs[0].clone(),
            grant_id: texts[0].clone(),
            client_id: texts[1].clone(),
            provider: texts[2].clone(),
            subject: texts[3].clone(),
            email: texts[4].clone(),
            server: texts[5].clone(),
            scopes: texts[6..].to_vec(),
            issued_at_ms: numbers[0],
            expires_at_ms: numbers[1],
            born: numbers[2],
            wrapped_key: blobs[1].clone(),
            sealed_credential: blobs[2].clone(),
            credential_expires_at_ms: numbers[3],
            credential_revision: numbers[4],
        }
    }

    proptest! {
        #[test]
        fn a_message_is_the_record_that_its_own_type_makes_of_it(
            id in prop::collection::vec(any::<u8>(), 31..34),
            texts in prop::collection::vec(".{0,9}", 6..9),
            blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 2),
            numbers in prop::collection::vec(prop_oneof![Just(0), any::<u64>()], 5),
        ) {
            let blobs = [vec![id], blobs].concat();
            let message = message(&texts, &blobs, &numbers);
            let bytes = Bytes::from(message.encode_to_vec());
            prop_assert_eq!(decode(bytes), TokenRecord::try_from(message).ok());
        }

        #[test]
        fn what_is_no_message_of_its_own_type_is_no_record(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if v1::TokenRecord::decode(bytes.as_slice()).is_err() {
                prop_assert_eq!(decode(bytes.into()), None);
            }
        }
    }
}

//! How things are written: keys and values of the store's trees.
//!
//! | tree | key | value |
//! |---|---|---|
//! | (default) | `format` | [`FORMAT`] |
//! | `records` | token id | generation, expiry, `TokenRecord` message |
//! | `records` | `count` | how many records there are |
//! | `log` | `entry/` generation sequence | `Entry` message |
//! | `log` | `position` | generation, `Position` message |
//!
//! Numbers are 8 bytes, big-endian. Entries and position are in one tree, and so are records and their count, because
//! sled makes a batch atomic within a tree only.

use bytes::Bytes;
use portcullis_proto::ids::TokenId;
use portcullis_proto::random::{self, Random};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::{Entry, Position};
use portcullis_proto::time::Timestamp;
use portcullis_proto::v1;
use prost::Message;

use super::record;

/// Changes whenever this page does.
pub(super) const FORMAT: &[u8] = b"2";
pub(super) const FORMAT_KEY: &[u8] = b"format";
pub(super) const POSITION_KEY: &[u8] = b"position";
pub(super) const COUNT_KEY: &[u8] = b"count";
pub(super) const ENTRY_PREFIX: &[u8] = b"entry/";

/// One life of the replica, from one `StartOver` to the next; drawn at random. What belongs to another
/// generation is not there: so starting over is one small write, and an answer that was asked for in
/// one generation can never be taken for one of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation(u64);

// === impl Generation ===

impl Generation {
    /// Draws a new one.
    pub fn generate(random: &dyn Random) -> Self {
        Self(u64::from_be_bytes(random::bytes(random)))
    }

    fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (generation, rest) = bytes.split_first_chunk()?;
        Some((Self(u64::from_be_bytes(*generation)), rest))
    }
}

/// Length of what stands before a record's message.
const RECORD_HEAD: usize = 16;

/// The value of the count.
pub(super) fn encode_count(count: usize) -> [u8; 8] {
    (count as u64).to_be_bytes()
}

/// What [`encode_count`] has made.
pub(super) fn decode_count(value: &[u8]) -> Option<usize> {
    usize::try_from(u64::from_be_bytes(value.try_into().ok()?)).ok()
}

/// The value of a record.
pub(super) fn encode_record(generation: Generation, record: TokenRecord) -> Vec<u8> {
    let expires_at = record.expires_at.as_millis();
    let message = v1::TokenRecord::from(record);
    let mut value = Vec::with_capacity(RECORD_HEAD + message.encoded_len());
    value.extend(generation.to_bytes());
    value.extend(expires_at.to_be_bytes());
    value.extend(message.encode_to_vec());
    value
}

/// A record from its value, which it holds on to.
pub(super) fn decode_record(value: sled::IVec) -> Option<(Generation, TokenRecord)> {
    let (generation, ..) = split_record(&value)?;
    let message = Bytes::from_owner(value).split_off(RECORD_HEAD);
    Some((generation, record::decode(message)?))
}

/// Whether a sweep keeps a record: it is of this generation, and alive at `cutoff`.
pub(super) fn keeps_record(value: &[u8], generation: Generation, cutoff: Timestamp) -> bool {
    split_record(value).is_some_and(|(of, expires_at, _)| of == generation && expires_at > cutoff)
}

fn split_record(value: &[u8]) -> Option<(Generation, Timestamp, &[u8])> {
    let (generation, rest) = Generation::split(value)?;
    let (expires_at, message) = rest.split_first_chunk()?;
    Some((generation, Timestamp::from_millis(u64::from_be_bytes(*expires_at)), message))
}

/// The key of a record.
pub(super) fn record_key(key: &[u8]) -> Option<TokenId> {
    TokenId::from_slice(key)
}

/// Key and value of an entry.
pub(super) fn encode_entry(generation: Generation, entry: &Entry) -> (Vec<u8>, Vec<u8>) {
    let key = [ENTRY_PREFIX, &generation.to_bytes(), &entry.sequence.0.to_be_bytes()].concat();
    (key, v1::Entry::from(entry.clone()).encode_to_vec())
}

/// Generation and entry from key and value.
pub(super) fn decode_entry(key: &[u8], value: &[u8]) -> Option<(Generation, Entry)> {
    let (generation, _) = Generation::split(key.strip_prefix(ENTRY_PREFIX)?)?;
    Some((generation, v1::Entry::decode(value).ok()?.try_into().ok()?))
}

/// The value of the position.
pub(super) fn encode_position(generation: Generation, position: Position) -> Vec<u8> {
    let mut value = generation.to_bytes().to_vec();
    value.extend(v1::Position::from(position).encode_to_vec());
    value
}

/// Generation and position from their value.
pub(super) fn decode_position(value: &[u8]) -> Option<(Generation, Position)> {
    let (generation, message) = Generation::split(value)?;
    Some((generation, v1::Position::decode(message).ok()?.try_into().ok()?))
}

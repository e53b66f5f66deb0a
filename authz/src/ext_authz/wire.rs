//! Writing protobuf from a message's end to its beginning: what is inside a message is there before its length has to
//! be, so nothing is measured first and nothing is copied afterwards.

use prost::encoding::{WireType, encode_varint};

/// The longest varint, in bytes.
const MAX_VARINT: usize = 10;

/// A message that grows at its front. Fields that are written later stand before those written earlier.
#[derive(Clone)]
pub(super) struct Writer {
    /// Written from `start` on.
    bytes: Vec<u8>,
    start: usize,
}

// === impl Writer ===

impl Writer {
    /// An empty message, with room for `capacity` bytes before it has to grow.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: capacity }
    }

    /// The message.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// A field with text or bytes.
    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.prepend(text.as_bytes());
        self.head(field, text.len());
    }

    /// A field with a number, a truth value or a member of an enumeration.
    pub(super) fn number(&mut self, field: u32, number: u64) {
        self.varint(number);
        self.key(field, WireType::Varint);
    }

    /// A field with a message, which `fields` writes.
    pub(super) fn message(&mut self, field: u32, fields: impl FnOnce(&mut Self)) {
        let before = self.as_bytes().len();
        fields(self);
        self.head(field, self.as_bytes().len() - before);
    }

    fn head(&mut self, field: u32, length: usize) {
        self.varint(length as u64);
        self.key(field, WireType::LengthDelimited);
    }

    fn key(&mut self, field: u32, wire_type: WireType) {
        self.varint(u64::from(field << 3 | wire_type as u32));
    }

    /// Most of them are one byte.
    fn varint(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(byte) if byte < 0x80 => self.prepend(&[byte]),
            _ => self.long_varint(number),
        }
    }

    fn long_varint(&mut self, number: u64) {
        let mut buffer = [0; MAX_VARINT];
        let mut rest = &mut buffer[..];
        encode_varint(number, &mut rest);
        let length = MAX_VARINT - rest.len();
        self.prepend(&buffer[..length]);
    }

    #[inline]
    fn prepend(&mut self, bytes: &[u8]) {
        if self.start < bytes.len() {
            self.grow(bytes.len());
        }
        let end = self.start;
        self.start -= bytes.len();
        self.bytes[self.start..end].copy_from_slice(bytes);
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let mut bytes = vec![0; more + 2 * self.bytes.len()];
        let start = bytes.len() - self.as_bytes().len();
        bytes[start..].copy_from_slice(self.as_bytes());
        *self = Self { bytes, start };
    }
}

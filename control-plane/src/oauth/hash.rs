//! What is stored in a random identifier's place.

use aws_lc_rs::digest;

/// SHA-256. The text has 256 random bits, so no slow hash is needed.
pub(super) fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

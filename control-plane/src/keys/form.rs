//! What is derived from the ring: the key that signs the forms of our pages, and the one that numbers the ways of
//! making credentials.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_proto::seal::SealingKey;

use super::ring::Ring;

/// What signs the forms of our pages. It follows the ring: a form that was shown before a rotation still counts.
pub struct FormKey {
    ring: Arc<ArcSwap<Ring>>,
}

/// What numbers the ways of making credentials, so that none of their secrets can be guessed from a number.
pub struct RevisionKey(hmac::Key);

// === impl FormKey ===

impl FormKey {
    pub(super) const fn new(ring: Arc<ArcSwap<Ring>>) -> Self {
        Self { ring }
    }

    /// A token for a form with these contents, shown in the browser with this cookie.
    #[expect(clippy::expect_used, reason = "whatever makes a ring puts it there")]
    pub fn sign(&self, cookie: &str, contents: &str) -> String {
        let ring = self.ring.load();
        let key = ring.keys().get(ring.current().0).expect("the current key is in the ring");
        BASE64_STANDARD.encode(hmac::sign(&key.form, &Self::message(cookie, contents)))
    }

    /// Whether the token is the one for these contents and this browser, by any key of the ring.
    pub fn verify(&self, cookie: &str, contents: &str, token: &str) -> bool {
        let Ok(tag) = BASE64_STANDARD.decode(token) else { return false };
        let message = Self::message(cookie, contents);
        self.ring.load().keys().values().any(|key| hmac::verify(&key.form, &message, &tag).is_ok())
    }

    /// The cookie has no NUL, so no two pairs give the same message.
    fn message(cookie: &str, contents: &str) -> Vec<u8> {
        [cookie.as_bytes(), contents.as_bytes()].join(&0)
    }
}

// === impl RevisionKey ===

impl RevisionKey {
    pub(super) fn new(key: &SealingKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// The number of a way that has these parts. None of them may be left out or cut short: each is preceded by its
    /// length, so no two ways give the same message.
    pub fn number(&self, parts: &[&[u8]]) -> u64 {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&context.sign().as_ref()[..8]);
        u64::from_be_bytes(first)
    }
}

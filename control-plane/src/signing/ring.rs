//! Which key signs, which is announced, and which are still good for verifying. All pure, but for [`Key::generate`].
//!
//! A key is published long enough ahead of its use for every cache of the key set to have it, and is published after
//! that for as long as anything that it has signed can be alive.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use portcullis_proto::time::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// How long a key is published before it signs. The key set may be cached for 5 minutes.
pub(super) const AHEAD: Duration = Duration::from_mins(15);
/// How long a key is published after it has signed its last. An assertion lives for 5 minutes.
const BEHIND: Duration = Duration::from_mins(30);

/// Coordinates of a point of P-256, in bytes.
const COORDINATE: usize = 32;

/// A P-256 key pair for ES256 (RFC 7518 section 3.4).
#[derive(Clone)]
pub struct Key {
    id: String,
    private: EncodingKey,
    /// The same, as PKCS #8 (RFC 5958).
    pkcs8: Zeroizing<Vec<u8>>,
    /// The public point, uncompressed (SEC 1 section 2.3.3).
    public: Vec<u8>,
}

/// A key, and since when it is where it is.
#[derive(Clone, Debug)]
pub struct Dated {
    /// The key.
    pub key: Key,
    /// Since when.
    pub since: Timestamp,
}

/// All keys.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Signs.
    pub(super) current: Dated,
    /// Will sign next; published already.
    pub(super) next: Option<Dated>,
    /// Sign no more, but are still published.
    pub(super) retired: Vec<Dated>,
}

/// What may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Make the next key, and publish it.
    Publish,
    /// Sign with the next key.
    Use,
    /// Forget what nobody needs for verifying any more.
    Forget,
    /// Count from now what was dated by a clock that was ahead.
    Redate,
}

// === impl Key ===

impl Key {
    /// Draws a new key.
    #[expect(
        clippy::expect_used,
        reason = "without randomness no key may be made: stopping is the safe answer"
    )]
    pub fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair");
        let der = pair.to_pkcs8v1().expect("an encoding of it");
        Self::of(&pair, der.as_ref())
    }

    /// From PKCS #8; `None` where it is none, or of another curve.
    pub fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
        Some(Self::of(&pair, der))
    }

    fn of(pair: &EcdsaKeyPair, der: &[u8]) -> Self {
        let public = pair.public_key().as_ref().to_vec();
        Self {
            id: BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, &public).as_ref()[..12]),
            private: EncodingKey::from_ec_der(der),
            pkcs8: Zeroizing::new(der.to_vec()),
            public,
        }
    }

    /// Its name, `kid`: the beginning of the public key's SHA-256.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn private(&self) -> &EncodingKey {
        &self.private
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key as a JWK (RFC 7518 section 6.2.1).
    fn jwk(&self) -> Value {
        let coordinates = self.public.get(1..).unwrap_or_default(); // behind the byte that says "uncompressed"
        let (x, y) = coordinates.split_at_checked(COORDINATE).unwrap_or_default();
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.id, "alg": "ES256", "use": "sig" })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, [REDACTED])", self.id)
    }
}

// === impl Ring ===

impl Ring {
    /// With a first key, which signs at once: nobody has a key set that it could be missing from.
    pub fn new(key: Key, now: Timestamp) -> Self {
        Self { current: Dated { key, since: now }, next: None, retired: Vec::new() }
    }

    /// The key that signs.
    pub fn current(&self) -> &Key {
        &self.current.key
    }

    /// The public keys: the one in use, the next, and those that were used (RFC 7517 section 5).
    pub fn key_set(&self) -> Value {
        json!({ "keys": self.all().map(|dated| dated.key.jwk()).collect::<Vec<_>>() })
    }

    fn all(&self) -> impl Iterator<Item = &Dated> {
        [&self.current].into_iter().chain(&self.next).chain(&self.retired)
    }

    /// What is due at `now`, where a key signs for `interval`.
    pub fn due(&self, now: Timestamp, interval: Duration) -> Option<Turn> {
        let age = |dated: &Dated| now.since(dated.since);
        if self.all().any(|dated| dated.since > now) {
            return Some(Turn::Redate);
        }
        if self.retired.iter().any(|retired| age(retired) >= BEHIND) {
            return Some(Turn::Forget);
        }
        match &self.next {
            None => (age(&self.current) + AHEAD >= interval).then_some(Turn::Publish),
            Some(next) => (age(next) >= AHEAD && age(&self.current) >= interval).then_some(Turn::Use),
        }
    }

    /// The ring after that has been done.
    #[must_use]
    pub fn turned(mut self, turn: Turn, now: Timestamp, generate: impl FnOnce() -> Key) -> Self {
        match turn {
            Turn::Publish => self.next = Some(Dated { key: generate(), since: now }),
            Turn::Use => {
                if let Some(Dated { key, .. }) = self.next.take() {
                    let before = std::mem::replace(&mut self.current, Dated { key, since: now });
                    self.retired.push(Dated { since: now, ..before });
                }
            }
            Turn::Forget => self.retired.retain(|retired| now.since(retired.since) < BEHIND),
            Turn::Redate => {
                let all = [&mut self.current].into_iter().chain(&mut self.next).chain(&mut self.retired);
                all.for_each(|dated| dated.since = dated.since.min(now));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    /// Does all that is due.
    fn settle(mut ring: Ring, now: Timestamp) -> Ring {
        while let Some(turn) = ring.due(now, HOUR) {
            ring = ring.turned(turn, now, Key::generate);
        }
        ring
    }

    fn ids(ring: &Ring) -> (String, Option<String>, usize) {
        (ring.current().id().into(), ring.next.as_ref().map(|next| next.key.id().into()), ring.retired.len())
    }

    #[test]
    fn a_key_is_announced_then_used_then_retired_then_forgotten() {
        let at = |minutes| START.after(Duration::from_mins(minutes));
        let ring = settle(Ring::new(Key::generate(), START), at(44));
        let (first, next, _) = ids(&ring);
        assert_eq!(next, None);
        let ring = settle(ring, at(45));
        let (current, next, retired) = ids(&ring);
        let second = next.unwrap();
        assert_eq!((&current, retired), (&first, 0));
        let ring = settle(ring, at(59));
        assert_eq!(ids(&ring), (first.clone(), Some(second.clone()), 0));
        let ring = settle(ring, at(60));
        assert_eq!(ids(&ring), (second.clone(), None, 1));
        let ring = settle(ring, at(89));
        assert_eq!(ring.retired[0].key.id(), first);
        let ring = settle(ring, at(90));
        assert_eq!(ids(&ring), (second, None, 0));
    }

    #[test]
    fn a_process_that_was_away_for_long_announces_before_it_uses() {
        let late = START.after(1000 * HOUR);
        let ring = settle(Ring::new(Key::generate(), START), late);
        let (first, next, _) = ids(&ring);
        assert!(next.is_some());
        let ring = settle(ring, late.after(AHEAD));
        assert_ne!(ring.current().id(), first);
        assert_eq!(ring.retired.len(), 1);
    }

    #[test]
    fn t34_a_clock_that_was_ahead_loses_no_key_when_it_is_put_right() {
        let ahead = START.after(1000 * HOUR);
        let ring = settle(Ring::new(Key::generate(), START), ahead);
        let ring = settle(ring, ahead.after(AHEAD));
        let before = ids(&ring);
        for right in [START, START.after(HOUR)] {
            let ring = settle(ring.clone(), right);
            assert_eq!(ids(&ring), before);
            // And the next key does not wait for the day that the clock had made up.
            assert!(settle(ring, right.after(HOUR)).next.is_some());
        }
    }

    #[test]
    fn t18_no_debug_output_shows_a_signing_key() {
        let key = Key::generate();
        let ring = Ring::new(key.clone(), START);
        let secret = format!("{:?}", &key.pkcs8()[40..50]);
        assert!(!format!("{ring:?}").contains(secret.trim_matches(['[', ']'])));
        assert_eq!(Key::from_pkcs8(key.pkcs8()).unwrap().id(), key.id());
        assert!(Key::from_pkcs8(b"no key").is_none());
    }
}

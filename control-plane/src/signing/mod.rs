//! The keys that sign assertions: made, put to use, retired and forgotten by themselves.
//!
//! [`ring`] has the rules, `file` keeps the ring beside the master keys. A key is durable before anybody sees it.

mod file;
pub mod ring;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, Header};
use portcullis_proto::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use self::ring::{Key, Ring, Turn};
use crate::keys::KeysError;

/// Signs, and says by which keys that can be verified.
#[derive(Debug)]
pub struct Signer {
    directory: PathBuf,
    /// How long a key signs.
    interval: Duration,
    ring: ArcSwap<Ring>,
    /// When this process last changed something, by a clock that only counts up.
    turned: Mutex<Option<Instant>>,
}

/// Nothing was signed. It has no details that could be told.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the signing key does not sign")]
pub struct SignError;

// === impl Signer ===

impl Signer {
    /// Reads the keys from `directory`. Where there are none, makes the first one, if that is to be done.
    pub fn open(directory: &Path, interval: Duration, now: Timestamp, make: bool) -> Result<Self, KeysError> {
        let ring = if let Some(ring) = file::read(directory)? {
            ring
        } else if !make {
            return Err(KeysError::SigningKeysLost { path: directory.join(file::NAME) });
        } else {
            let ring = Ring::new(Key::generate(), now);
            file::write(directory, &ring)?;
            ring
        };
        // The last turn may have been a moment ago, in the process before: perhaps nobody has seen its key yet.
        let turned = Mutex::new(Some(Instant::now()));
        let (directory, ring) = (directory.to_owned(), ArcSwap::from_pointee(ring));
        Ok(Self { directory, interval, ring, turned })
    }

    /// A JWT with these claims, by the key that is in use (RFC 7519). Its `kid` names that key; its `typ` is `JWT`, as
    /// libraries expect: these keys sign nothing that could be taken for an assertion.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        let ring = self.ring.load();
        let key = ring.current();
        let header = Header { kid: Some(key.id().to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, key.private()).map_err(|_| SignError)
    }

    /// The public keys as a JWK set (RFC 7517 section 5).
    pub fn key_set(&self) -> Value {
        self.ring.load().key_set()
    }

    /// Signs with a new key from now on, and publishes no other: what the others have signed is refused as soon as the
    /// key set has been read again. For keys that may have been stolen. Writes a small file; tells the new key's id.
    pub fn replace(&self, now: Timestamp, at: Instant) -> Result<String, KeysError> {
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Ring::new(Key::generate(), now);
        file::write(&self.directory, &next)?;
        let id = next.current().id().to_owned();
        self.ring.store(Arc::new(next));
        *turned = Some(at);
        Ok(id)
    }

    /// Does what is due at `now`, one thing at a time; tells what it was. `at` is the same moment by a clock that only
    /// counts up: whatever `now` jumps to, between two steps there is time for every cache to follow and for every
    /// assertion to expire.
    ///
    /// Writes a small file, some three times an interval.
    pub fn turn(&self, now: Timestamp, at: Instant) -> Result<Option<Turn>, KeysError> {
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        if turned.is_some_and(|before| at.saturating_duration_since(before) < ring::AHEAD) {
            return Ok(None);
        }
        let ring = self.ring.load();
        let Some(turn) = ring.due(now, self.interval) else { return Ok(None) };
        let next = Ring::clone(&ring).turned(turn, now, Key::generate);
        file::write(&self.directory, &next)?;
        self.ring.store(Arc::new(next));
        *turned = Some(at);
        Ok(Some(turn))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::json;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn verifies(text: &str, set: &Value) -> bool {
        let set: JwkSet = serde_json::from_value(set.clone()).unwrap();
        let kid = jsonwebtoken::decode_header(text).unwrap().kid.unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        set.find(&kid).is_some_and(|jwk| {
            let key = DecodingKey::from_jwk(jwk).unwrap();
            jsonwebtoken::decode::<Value>(text, &key, &validation).is_ok()
        })
    }

    #[test]
    fn keys_are_made_once_and_what_they_sign_is_verified_by_the_key_set() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Signer::open(directory.path(), DAY, START, true).unwrap();
        let text = open().sign(&json!({ "sub": "ada" })).unwrap();
        let set = open().key_set();
        assert!(verifies(&text, &set));
        let key = &set["keys"][0];
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
            (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
        );
        assert!(key["d"].is_null() && !set.to_string().contains("\"d\""));
        let mode = fs::metadata(directory.path().join(file::NAME)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert!(!verifies(&text, &Signer::open(other.path(), DAY, START, true).unwrap().key_set()));
    }

    #[test]
    fn whatever_was_signed_is_verified_until_it_has_expired_by_who_looks_every_five_minutes() {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::open(directory.path(), DAY, START, true).unwrap();
        let (minute, begin) = (Duration::from_mins(1), Instant::now());
        let (mut now, mut cached, mut alive) = (START, signer.key_set(), Vec::new());
        let mut signed_by = std::collections::BTreeSet::new();
        for passed in 0..3 * 24 * 60_u32 {
            if passed % 5 == 0 {
                cached = signer.key_set();
            }
            let text = signer.sign(&json!({})).unwrap();
            signed_by.insert(jsonwebtoken::decode_header(&text).unwrap().kid.unwrap());
            alive.push(text);
            if alive.len() > 5 {
                alive.remove(0);
            }
            assert!(alive.iter().all(|text| verifies(text, &cached)), "after {passed} minutes");
            now = now.after(minute);
            signer.turn(now, begin + now.since(START)).unwrap();
        }
        assert_eq!(signed_by.len(), 3);
        assert!(signer.key_set()["keys"].as_array().unwrap().len() <= 2, "old keys are forgotten");
    }

    #[test]
    fn t18_once_a_stolen_key_is_replaced_nothing_that_it_signs_is_verified() {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::open(directory.path(), DAY, START, true).unwrap();
        signer.turn(START.after(DAY), later(1)).unwrap();
        let before = signer.sign(&json!({})).unwrap();
        let id = signer.replace(START.after(DAY), later(2)).unwrap();
        let after = signer.sign(&json!({})).unwrap();
        let again = Signer::open(directory.path(), DAY, START.after(DAY), false).unwrap();
        for set in [signer.key_set(), again.key_set()] {
            assert_eq!(set["keys"].as_array().unwrap().len(), 1);
            assert_eq!(set["keys"][0]["kid"], id.as_str());
            assert!(verifies(&after, &set) && !verifies(&before, &set));
        }
    }

    #[test]
    fn t34_keys_that_are_missed_are_not_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let error = Signer::open(directory.path(), DAY, START, false).unwrap_err();
        assert!(matches!(error, KeysError::SigningKeysLost { .. }), "{error}");
        assert!(!directory.path().join(file::NAME).exists());
    }

    #[test]
    fn a_turn_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::open(directory.path(), DAY, START, true).unwrap();
        assert_eq!(signer.turn(START.after(DAY), later(1)).unwrap(), Some(Turn::Publish));
        let again = Signer::open(directory.path(), DAY, START.after(DAY), false).unwrap();
        assert_eq!(again.key_set(), signer.key_set());
        assert_eq!(again.key_set()["keys"].as_array().unwrap().len(), 2);
        // Nobody may have seen the new key: the process was gone.
        assert_eq!(again.turn(START.after(2 * DAY), Instant::now()).unwrap(), None);
        assert_eq!(again.turn(START.after(2 * DAY), later(1)).unwrap(), Some(Turn::Use));
    }

    /// So many quarters of an hour from now.
    fn later(quarters: u32) -> Instant {
        Instant::now() + ring::AHEAD * quarters
    }

    #[test]
    fn t34_a_clock_that_jumps_ahead_hurries_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let (signer, begin) = (Signer::open(directory.path(), DAY, START, true).unwrap(), Instant::now());
        let quarter = Duration::from_mins(15);
        let mut now = START;
        for (step, turn) in (1..).zip([Turn::Publish, Turn::Use, Turn::Forget]) {
            now = now.after(100 * DAY);
            let at = begin + quarter * step;
            assert_eq!(signer.turn(now, at.checked_sub(Duration::from_secs(1)).unwrap()).unwrap(), None);
            assert_eq!(signer.turn(now, at).unwrap(), Some(turn));
        }
    }

    #[test]
    fn t18_a_damaged_file_is_refused_without_showing_it() {
        let directory = tempfile::tempdir().unwrap();
        Signer::open(directory.path(), DAY, START, true).unwrap();
        let path = directory.path().join(file::NAME);
        let good = fs::read_to_string(&path).unwrap();
        let secret: Value = serde_json::from_str(&good).unwrap();
        let secret = secret["current"]["private"].as_str().unwrap().to_owned();
        let shortened = good.replace(&secret, &secret[..secret.len() - 8]);
        for text in [
            "",
            "{",
            r#"{"current":"hush"}"#,
            &good[..good.len() / 2],
            &shortened,
            &good.replace(&secret, "aHVzaA=="),
        ] {
            fs::write(&path, text).unwrap();
            let error = Signer::open(directory.path(), DAY, START, true).unwrap_err().to_string();
            assert!(error.contains("not a signing key ring"), "{error}");
            assert!(!error.contains(&secret[..16]) && !error.contains("hush"), "{error}");
        }
        fs::write(&path, good).unwrap();
        let signer = Signer::open(directory.path(), DAY, START, true).unwrap();
        assert!(!format!("{signer:?}").contains(&secret[..16]));
    }
}

//! Which key seals, which still open, and when one may go. All pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use portcullis_proto::random::{self, Random};
use portcullis_proto::seal::SealingKey;
use portcullis_proto::time::Timestamp;
use thiserror::Error;

/// How long a key stays in the ring once another one seals. Longer than any request takes, and than sessions and
/// enrolments last, whose forms it has signed.
pub(super) const STAYS: Duration = Duration::from_hours(1);
/// Most keys in a ring: each is tried for a form that none of the others has signed.
const MOST: usize = 16;

/// One key seals, all open.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    current: String,
    keys: BTreeMap<String, Key>,
    /// From the first key of this ring: a number must not change by a rotation.
    revision: Arc<SealingKey>,
    signing: bool,
}

/// A key, and what comes from it.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) sealing: Arc<SealingKey>,
    /// Signs the forms of our pages.
    pub(super) form: hmac::Key,
    /// Since when it seals; rings from before that was noted say nothing.
    pub(super) made: Option<Timestamp>,
    /// Since when another one does.
    pub(super) retired: Option<Timestamp>,
}

/// What may be told of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// Its id.
    pub id: String,
    /// Whether it is the one that seals.
    pub current: bool,
    /// Since when it does, or did; `None` where that was not noted yet.
    pub made: Option<Timestamp>,
    /// Since when another one does.
    pub retired: Option<Timestamp>,
}

/// Why a ring must not be changed so.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Forbidden {
    /// No key has that id.
    #[error("there is no master key {0:?}")]
    Unknown(String),
    /// It seals.
    #[error("{0} is the current key: rotate first")]
    Current(String),
    /// It has not been retired for long enough.
    #[error(
        "{id} was the current key until a short while ago, and open forms and requests may need it: wait for {}",
        humantime::format_duration(Duration::from_secs(left.as_secs().max(1)))
    )]
    Recent {
        /// Which.
        id: String,
        /// How long to wait.
        left: Duration,
    },
    /// There are enough keys.
    #[error("there are {MOST} master keys: forget old ones first")]
    Full,
}

// === impl Ring ===

impl Ring {
    /// With one key.
    pub(super) fn new(random: &dyn Random, now: Timestamp) -> Self {
        let (id, key) = generate(random, now);
        let revision = Arc::new(derived_revision(&key.sealing));
        Self { current: id.clone(), keys: BTreeMap::from([(id, key)]), revision, signing: false }
    }

    /// As it was kept; `None` where the current key is not among the keys. A ring that has never been rotated keeps no
    /// `revision`.
    pub(super) fn of(
        current: String,
        keys: BTreeMap<String, Key>,
        revision: Option<SealingKey>,
        signing: bool,
    ) -> Option<Self> {
        let revision = revision.unwrap_or(derived_revision(&keys.get(&current)?.sealing));
        Some(Self { current, keys, revision: Arc::new(revision), signing })
    }

    /// The key that seals, and its id.
    #[expect(clippy::expect_used, reason = "whatever makes a ring puts it there")]
    pub(super) fn current(&self) -> (&str, &SealingKey) {
        let key = self.keys.get(&self.current).expect("the current key is in the ring");
        (&self.current, &key.sealing)
    }

    /// A key that opens.
    pub(super) fn key(&self, id: &str) -> Option<&SealingKey> {
        self.keys.get(id).map(|key| &*key.sealing)
    }

    /// Every key with its id.
    pub(super) const fn keys(&self) -> &BTreeMap<String, Key> {
        &self.keys
    }

    pub(super) fn revision(&self) -> &SealingKey {
        &self.revision
    }

    pub(super) const fn has_signing_keys(&self) -> bool {
        self.signing
    }

    pub(super) fn with_signing_keys(&self) -> Self {
        Self { signing: true, ..self.clone() }
    }

    /// What may be told of each, the oldest first.
    pub(super) fn list(&self) -> Vec<RingKey> {
        let told = |(id, key): (&String, &Key)| RingKey {
            id: id.clone(),
            current: *id == self.current,
            made: key.made,
            retired: key.retired,
        };
        let mut list: Vec<_> = self.keys.iter().map(told).collect();
        list.sort_by_key(|key| (key.current, key.made));
        list
    }

    /// With a new key that seals.
    pub(super) fn rotated(&self, random: &dyn Random, now: Timestamp) -> Result<Self, Forbidden> {
        if self.keys.len() >= MOST {
            return Err(Forbidden::Full);
        }
        let mut next = self.clone();
        if let Some(before) = next.keys.get_mut(&self.current) {
            before.retired = Some(now);
        }
        let (id, key) = generate(random, now);
        next.keys.insert(id.clone(), key);
        next.current = id;
        Ok(next)
    }

    /// Without one that may go.
    pub(super) fn without(&self, id: &str, now: Timestamp) -> Result<Self, Forbidden> {
        let key = self.keys.get(id).ok_or_else(|| Forbidden::Unknown(id.to_owned()))?;
        if id == self.current {
            return Err(Forbidden::Current(id.to_owned()));
        }
        if let Some(retired) = key.retired
            && now < retired.after(STAYS)
        {
            return Err(Forbidden::Recent { id: id.to_owned(), left: retired.after(STAYS).since(now) });
        }
        let mut next = self.clone();
        next.keys.remove(id);
        Ok(next)
    }
}

// === impl Key ===

impl Key {
    pub(super) fn new(key: SealingKey, made: Option<Timestamp>, retired: Option<Timestamp>) -> Self {
        let form = SealingKey::derive(key.expose(), b"portcullis form key v1");
        let form = hmac::Key::new(hmac::HMAC_SHA256, form.expose());
        Self { sealing: Arc::new(key), form, made, retired }
    }
}

fn generate(random: &dyn Random, now: Timestamp) -> (String, Key) {
    (random::base62(random, 8), Key::new(SealingKey::generate(random), Some(now), None))
}

fn derived_revision(key: &SealingKey) -> SealingKey {
    SealingKey::derive(key.expose(), b"portcullis credential revision key v1")
}

#[cfg(test)]
mod tests {
    use portcullis_proto::random::SystemRandom;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    #[test]
    fn a_key_goes_only_when_another_seals_and_its_time_is_over() {
        let ring = Ring::new(&SystemRandom, START);
        let old = ring.current().0.to_owned();
        let later = START.after(Duration::from_hours(5));
        assert_eq!(ring.without(&old, later).unwrap_err(), Forbidden::Current(old.clone()));
        assert_eq!(ring.without("nope", later).unwrap_err(), Forbidden::Unknown("nope".into()));
        let ring = ring.rotated(&SystemRandom, later).unwrap();
        assert_ne!(ring.current().0, old);
        let left = Duration::from_secs(1);
        let almost = later.after(STAYS).before(left);
        assert_eq!(ring.without(&old, almost).unwrap_err(), Forbidden::Recent { id: old.clone(), left });
        // A clock that was set back prolongs it.
        assert!(matches!(ring.without(&old, START), Err(Forbidden::Recent { .. })));
        let told = ring.list();
        assert_eq!((told[0].id.as_str(), told[0].made, told[0].retired), (&*old, Some(START), Some(later)));
        assert_eq!((told[1].current, told[1].made, told[1].retired), (true, Some(later), None));
        let ring = ring.without(&old, later.after(STAYS)).unwrap();
        assert!(ring.key(&old).is_none() && ring.keys().len() == 1);
    }

    #[test]
    fn a_ring_is_bounded() {
        let mut ring = Ring::new(&SystemRandom, START);
        for _ in 1..MOST {
            ring = ring.rotated(&SystemRandom, START).unwrap();
        }
        assert_eq!(ring.rotated(&SystemRandom, START).unwrap_err(), Forbidden::Full);
    }

    #[test]
    fn t18_no_debug_output_shows_a_master_key() {
        let ring = Ring::new(&SystemRandom, START);
        let bytes = format!("{:?}", ring.current().1.expose());
        let shown = format!("{ring:?}");
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}

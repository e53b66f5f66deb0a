//! The master key ring: what data keys are sealed under. The keys that sign assertions are in [`crate::signing`], in a
//! file beside it.
//!
//! One key seals, all open. `ring` has the rules for putting another in its place, `file` keeps the ring, `directory`
//! says who may read it. A new key is durable before anything is sealed under it; what is sealed under the others is
//! brought under it by [`crate::rewrap`].

pub(crate) mod directory;
mod file;
mod form;
mod ring;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_proto::random::Random;
use portcullis_proto::seal::{Field, KeyOwner, OpenError, Owner, Sealed, SealingKey};
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Notify;

pub(crate) use self::file::write_file;
pub use self::form::{FormKey, RevisionKey};
use self::ring::Ring;
pub use self::ring::{Forbidden, RingKey};

/// The ring of this process.
#[derive(Debug)]
pub struct MasterKeys {
    directory: PathBuf,
    ring: Arc<ArcSwap<Ring>>,
    /// One change at a time: the file follows the ring.
    changing: Mutex<()>,
    rotated: Notify,
}

/// Something sealed under a master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// Which one.
    pub master_key: String,
    /// It.
    pub sealed: Sealed,
}

/// Why there are no keys. Starting without them would lose every grant.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file or its directory.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file's contents.
    #[error("{}: not a {what}: {reason}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it; no key.
        reason: String,
    },
    /// Others than the service's user could read the keys, or put others in their place.
    #[error("{}: {wrong} (mode {mode:04o}): {remedy}", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Who can do what.
        wrong: &'static str,
        /// The permissions.
        mode: u32,
        /// What to do.
        remedy: &'static str,
    },
    /// The signing keys' file is gone.
    #[error(
        "{}: it is not there, but there were signing keys: restore it, or start once with --new-signing-keys",
        path.display()
    )]
    SigningKeysLost {
        /// Where it was.
        path: PathBuf,
    },
}

/// Why the ring stays as it is.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// It must not be changed so.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It cannot be written.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

// === impl MasterKeys ===

impl MasterKeys {
    /// How long a key stays in the ring once another one seals. No row shows what may still need it then: requests
    /// that have sealed under it but not yet written, and forms that are open in browsers.
    pub const STAYS: Duration = ring::STAYS;

    /// Whether there is a ring in `directory`, or may be one that cannot be reached. Where a store has rows that are
    /// sealed, there must be.
    pub fn exist(directory: &Path) -> bool {
        Self::path(directory).try_exists().unwrap_or(true)
    }

    /// Where the ring is.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join(file::NAME)
    }

    /// Reads the ring from `directory`, or makes one where there is none. Refuses what others can read.
    pub fn open(directory: &Path, random: &dyn Random, now: Timestamp) -> Result<Self, KeysError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| KeysError::Io { path, error }
        };
        directory::create(directory).map_err(at(directory))?;
        directory::check_directory(directory)?;
        let ring = if let Some(ring) = file::read(directory)? {
            ring
        } else {
            let ring = Ring::new(random, now);
            file::write(directory, &ring)?;
            ring
        };
        let ring = Arc::new(ArcSwap::from_pointee(ring));
        Ok(Self { directory: directory.to_owned(), ring, changing: Mutex::default(), rotated: Notify::new() })
    }

    /// Seals an owner's data key: the current master key's id, and the sealed key.
    pub fn wrap<O: KeyOwner>(
        &self,
        random: &dyn Random,
        owner: &O,
        data_key: &SealingKey,
    ) -> (String, Sealed) {
        let ring = self.ring.load();
        let (id, key) = ring.current();
        (id.to_owned(), key.wrap(random, owner, O::DATA_KEY, data_key))
    }

    /// Opens an owner's data key.
    pub fn unwrap_key<O: KeyOwner>(
        &self,
        master_key: &str,
        owner: &O,
        sealed: &Sealed,
    ) -> Result<SealingKey, OpenError> {
        self.ring.load().key(master_key).ok_or(OpenError)?.unwrap_key(owner, O::DATA_KEY, sealed)
    }

    /// Seals a text for one field of one owner.
    pub fn seal(
        &self,
        random: &dyn Random,
        owner: &impl Owner,
        field: Field,
        secret: &SecretString,
    ) -> Wrapped {
        let ring = self.ring.load();
        let (id, key) = ring.current();
        let sealed = key.seal(random, owner, field, secret.expose_secret().as_bytes());
        Wrapped { master_key: id.to_owned(), sealed }
    }

    /// Opens such a text.
    pub fn open_secret(
        &self,
        owner: &impl Owner,
        field: Field,
        wrapped: &Wrapped,
    ) -> Result<SecretString, OpenError> {
        let ring = self.ring.load();
        let text = ring.key(&wrapped.master_key).ok_or(OpenError)?.open(owner, field, &wrapped.sealed)?;
        std::str::from_utf8(&text).map(SecretString::from).map_err(|_| OpenError)
    }

    /// The same under the current key, whatever it is. It is opened, and nothing else is done with it.
    pub fn rewrap(
        &self,
        random: &dyn Random,
        owner: &impl Owner,
        field: Field,
        wrapped: &Wrapped,
    ) -> Result<Wrapped, OpenError> {
        let ring = self.ring.load();
        let plain = ring.key(&wrapped.master_key).ok_or(OpenError)?.open(owner, field, &wrapped.sealed)?;
        let (id, key) = ring.current();
        Ok(Wrapped { master_key: id.to_owned(), sealed: key.seal(random, owner, field, &plain) })
    }

    /// The key for our pages' forms.
    pub fn form_key(&self) -> FormKey {
        FormKey::new(self.ring.clone())
    }

    /// The key for numbering the ways of making credentials. It stays the same when the ring is rotated.
    pub fn revision_key(&self) -> RevisionKey {
        RevisionKey::new(self.ring.load().revision())
    }

    /// All keys, the oldest first.
    pub fn list(&self) -> Vec<RingKey> {
        self.ring.load().list()
    }

    /// The id of the key that seals.
    pub fn current(&self) -> String {
        self.ring.load().current().0.to_owned()
    }

    /// Whether the ring has this key.
    pub fn has(&self, id: &str) -> bool {
        self.ring.load().key(id).is_some()
    }

    /// Puts a new key in the place of the one that seals, and tells its id. It is durable before this returns, and
    /// before anything is sealed under it; the old one still opens. Writes a small file.
    pub fn rotate(&self, random: &dyn Random, now: Timestamp) -> Result<String, ChangeError> {
        let changing = self.change();
        let next = self.ring.load().rotated(random, now)?;
        self.replace(&changing, next)?;
        self.rotated.notify_one();
        Ok(self.current())
    }

    /// Whether a key may be removed, as far as the ring knows: whether rows hang on it, the store knows.
    pub fn check_forget(&self, id: &str, now: Timestamp) -> Result<(), Forbidden> {
        self.ring.load().without(id, now).map(drop)
    }

    /// Removes a key for good. What is sealed under it can never be opened again. Writes a small file.
    pub fn forget(&self, id: &str, now: Timestamp) -> Result<(), ChangeError> {
        let changing = self.change();
        let next = self.ring.load().without(id, now)?;
        self.replace(&changing, next)?;
        Ok(())
    }

    /// Whether signing keys have been made beside this ring.
    pub fn has_signing_keys(&self) -> bool {
        self.ring.load().has_signing_keys()
    }

    /// Notes that signing keys have been made, so that their loss is noticed.
    pub fn note_signing_keys(&self) -> Result<(), KeysError> {
        let changing = self.change();
        if self.has_signing_keys() {
            return Ok(());
        }
        let next = self.ring.load().with_signing_keys();
        self.replace(&changing, next)
    }

    /// Waits for the next rotation, or for one that nobody has waited for.
    pub async fn rotated(&self) {
        self.rotated.notified().await;
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// First the file, then the ring.
    fn replace(&self, _: &MutexGuard<'_, ()>, next: Ring) -> Result<(), KeysError> {
        file::write(&self.directory, &next)?;
        self.ring.store(Arc::new(next));
        Ok(())
    }
}

#[cfg(test)]
mod tests;

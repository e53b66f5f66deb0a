//! The master key ring: what data keys are sealed under. The keys that sign assertions are in [`crate::signing`], in a
//! file beside it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_proto::random::{self, Random};
use portcullis_proto::seal::{Field, KeyOwner, OpenError, Owner, Sealed, SealingKey};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

const FILE: &str = "master-keys.json";

/// The ring: one key seals, all open.
#[derive(Debug)]
pub struct MasterKeys {
    current: String,
    ring: BTreeMap<String, SealingKey>,
}

/// What signs the forms of our pages.
pub struct FormKey(hmac::Key);

/// What numbers the ways of making credentials, so that none of their secrets can be guessed from a number.
pub struct RevisionKey(hmac::Key);

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    current: String,
    keys: BTreeMap<String, Zeroizing<String>>,
}

/// Why there are no keys. Starting without them would lose every grant.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file or its directory.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file's contents.
    #[error("{path}: not a {what}: {reason}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it; no key.
        reason: String,
    },
}

// === impl MasterKeys ===

impl MasterKeys {
    /// Whether there is a ring in `directory`. Where a store has sealed values, there must be.
    pub fn exist(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    /// Reads the ring from `directory`, or makes one where there is none.
    pub fn open(directory: &Path, random: &dyn Random) -> Result<Self, KeysError> {
        let path = directory.join(FILE);
        let io_error = |error| KeysError::Io { path: path.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io_error)?;
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&Zeroizing::new(bytes)).map_err(|reason| KeysError::Malformed {
                path: path.clone(),
                what: "master key ring",
                reason,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = random::base62(random, 8);
                let key = SealingKey::generate(random);
                write_new(directory, &id, &key).map_err(io_error)?;
                Ok(Self { current: id.clone(), ring: BTreeMap::from([(id, key)]) })
            }
            Err(error) => Err(io_error(error)),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        // serde_json's own text could quote the file.
        let file: RingFile =
            serde_json::from_slice(bytes).map_err(|error| format!("line {}", error.line()))?;
        let mut ring = BTreeMap::new();
        for (id, text) in file.keys {
            let key = BASE64_STANDARD
                .decode(text.as_bytes())
                .ok()
                .and_then(|bytes| SealingKey::from_bytes(&Zeroizing::new(bytes)).ok())
                .ok_or_else(|| format!("key {id} is not 32 bytes of base64"))?;
            ring.insert(id, key);
        }
        if !ring.contains_key(&file.current) {
            return Err("the current key is not among the keys".into());
        }
        Ok(Self { current: file.current, ring })
    }

    /// Seals an owner's data key: the current master key's id, and the sealed key.
    pub fn wrap<O: KeyOwner>(
        &self,
        random: &dyn Random,
        owner: &O,
        data_key: &SealingKey,
    ) -> (String, Sealed) {
        (self.current.clone(), self.current_key().wrap(random, owner, O::DATA_KEY, data_key))
    }

    /// Opens an owner's data key.
    pub fn unwrap_key<O: KeyOwner>(
        &self,
        master_key: &str,
        owner: &O,
        sealed: &Sealed,
    ) -> Result<SealingKey, OpenError> {
        self.ring.get(master_key).ok_or(OpenError)?.unwrap_key(owner, O::DATA_KEY, sealed)
    }

    /// Seals a text for one field of one owner: the current master key's id, and the sealed text.
    pub fn seal(
        &self,
        random: &dyn Random,
        owner: &impl Owner,
        field: Field,
        secret: &SecretString,
    ) -> (String, Sealed) {
        let sealed = self.current_key().seal(random, owner, field, secret.expose_secret().as_bytes());
        (self.current.clone(), sealed)
    }

    /// Opens such a text.
    pub fn open_secret(
        &self,
        master_key: &str,
        owner: &impl Owner,
        field: Field,
        sealed: &Sealed,
    ) -> Result<SecretString, OpenError> {
        let master = self.ring.get(master_key).ok_or(OpenError)?;
        let text = master.open(owner, field, sealed)?;
        std::str::from_utf8(&text).map(SecretString::from).map_err(|_| OpenError)
    }

    /// The key for our pages' forms.
    pub fn form_key(&self) -> FormKey {
        let key = SealingKey::derive(self.current_key().expose(), b"portcullis form key v1");
        FormKey(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// The key for numbering the ways of making credentials.
    pub fn revision_key(&self) -> RevisionKey {
        let key = SealingKey::derive(self.current_key().expose(), b"portcullis credential revision key v1");
        RevisionKey(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    #[expect(clippy::expect_used, reason = "both constructors put it there")]
    fn current_key(&self) -> &SealingKey {
        self.ring.get(&self.current).expect("the current key is in the ring")
    }
}

fn write_new(directory: &Path, id: &str, key: &SealingKey) -> io::Result<()> {
    let text = Zeroizing::new(BASE64_STANDARD.encode(key.expose()));
    let file = RingFile { current: id.to_owned(), keys: BTreeMap::from([(id.to_owned(), text)]) };
    write_file(directory, FILE, &Zeroizing::new(serde_json::to_vec_pretty(&file)?))
}

/// Puts a file of secrets in its place, durably.
pub(crate) fn write_file(directory: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    // Under another name first: a crash leaves the old file or the new one, and no half of either.
    let temporary = directory.join(format!("{name}.new"));
    let mut output =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    output.write_all(contents)?;
    output.sync_all()?;
    fs::rename(&temporary, directory.join(name))?;
    fs::File::open(directory)?.sync_all()
}

// === impl FormKey ===

impl FormKey {
    /// A token for a form with these contents, shown in the browser with this cookie.
    pub fn sign(&self, cookie: &str, contents: &str) -> String {
        BASE64_STANDARD.encode(hmac::sign(&self.0, &Self::message(cookie, contents)))
    }

    /// Whether the token is the one for these contents and this browser.
    pub fn verify(&self, cookie: &str, contents: &str, token: &str) -> bool {
        BASE64_STANDARD
            .decode(token)
            .is_ok_and(|tag| hmac::verify(&self.0, &Self::message(cookie, contents), &tag).is_ok())
    }

    /// The cookie has no NUL, so no two pairs give the same message.
    fn message(cookie: &str, contents: &str) -> Vec<u8> {
        [cookie.as_bytes(), contents.as_bytes()].join(&0)
    }
}

// === impl RevisionKey ===

impl RevisionKey {
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

#[cfg(test)]
mod tests;

//! `signing-keys.json`, beside the master key ring.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ring::{Dated, Key, Ring};
use crate::keys::directory::read_secret;
use crate::keys::{KeysError, write_file};

/// The file's name.
pub(super) const NAME: &str = "signing-keys.json";
/// Room for all keys, in bytes: a buffer that grows leaves copies of its secrets behind.
const ROOM: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    current: KeyFile,
    next: Option<KeyFile>,
    retired: Vec<KeyFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    /// For readers: the key has it too.
    id: String,
    /// Milliseconds since 1970.
    since: Timestamp,
    /// PKCS #8 in base64.
    private: Zeroizing<String>,
}

/// The ring in `directory`, where there is one.
pub(super) fn read(directory: &Path) -> Result<Option<Ring>, KeysError> {
    let path = directory.join(NAME);
    let Some(bytes) = read_secret(&path)? else { return Ok(None) };
    let malformed = |reason| KeysError::Malformed { path, what: "signing key ring", reason };
    parse(&bytes).map(Some).map_err(malformed)
}

/// Puts the ring in the old one's place, durably.
pub(super) fn write(directory: &Path, ring: &Ring) -> Result<(), KeysError> {
    let file = RingFile {
        current: KeyFile::from(&ring.current),
        next: ring.next.as_ref().map(KeyFile::from),
        retired: ring.retired.iter().map(KeyFile::from).collect(),
    };
    let mut json = Zeroizing::new(Vec::with_capacity(ROOM));
    let written = serde_json::to_writer_pretty(&mut *json, &file).map_err(io::Error::from);
    let written = written.and_then(|()| write_file(directory, NAME, &json));
    written.map_err(|error| KeysError::Io { path: directory.join(NAME), error })
}

fn parse(bytes: &[u8]) -> Result<Ring, String> {
    // serde_json's own text could quote the file.
    let file: RingFile = serde_json::from_slice(bytes).map_err(|error| format!("line {}", error.line()))?;
    Ok(Ring {
        current: file.current.dated()?,
        next: file.next.map(KeyFile::dated).transpose()?,
        retired: file.retired.into_iter().map(KeyFile::dated).collect::<Result<_, _>>()?,
    })
}

// === impl KeyFile ===

impl KeyFile {
    fn dated(self) -> Result<Dated, String> {
        let der = BASE64_STANDARD.decode(self.private.as_bytes()).ok().map(Zeroizing::new);
        let key = der.and_then(|der| Key::from_pkcs8(&der)).filter(|key| key.id() == self.id);
        let key =
            key.ok_or("one of the keys is not the P-256 key that its id names, in PKCS #8 and base64")?;
        Ok(Dated { key, since: self.since })
    }
}

impl From<&Dated> for KeyFile {
    fn from(dated: &Dated) -> Self {
        Self {
            id: dated.key.id().to_owned(),
            since: dated.since,
            private: Zeroizing::new(BASE64_STANDARD.encode(dated.key.pkcs8())),
        }
    }
}

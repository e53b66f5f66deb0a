//! `master-keys.json`, and how files of secrets get into their place.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_proto::seal::SealingKey;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ring::{Key, Ring};
use super::{KeysError, directory};

/// The file's name.
pub(super) const NAME: &str = "master-keys.json";
/// Room for a full ring, in bytes: a buffer that grows leaves copies of its secrets behind.
const ROOM: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    /// The key that seals.
    current: String,
    /// All keys, 32 bytes each in base64.
    keys: BTreeMap<String, Zeroizing<String>>,
    /// Since when each seals, in milliseconds since 1970.
    #[serde(default)]
    made: BTreeMap<String, Timestamp>,
    /// Since when another one does.
    #[serde(default)]
    retired: BTreeMap<String, Timestamp>,
    /// What numbers the ways of making credentials, 32 bytes in base64.
    #[serde(default)]
    revision: Option<Zeroizing<String>>,
    /// Whether there are signing keys beside it.
    #[serde(default)]
    signing: bool,
}

/// The ring in `directory`, where there is one.
pub(super) fn read(directory: &Path) -> Result<Option<Ring>, KeysError> {
    let path = directory.join(NAME);
    let Some(bytes) = directory::read_secret(&path)? else { return Ok(None) };
    let malformed = |reason| KeysError::Malformed { path, what: "master key ring", reason };
    parse(&bytes).map(Some).map_err(malformed)
}

/// Puts the ring in the old one's place, durably.
pub(super) fn write(directory: &Path, ring: &Ring) -> Result<(), KeysError> {
    let dated = |date: fn(&Key) -> Option<Timestamp>| {
        ring.keys().iter().filter_map(|(id, key)| Some((id.clone(), date(key)?))).collect()
    };
    let file = RingFile {
        current: ring.current().0.to_owned(),
        keys: ring.keys().iter().map(|(id, key)| (id.clone(), encode(&key.sealing))).collect(),
        made: dated(|key| key.made),
        retired: dated(|key| key.retired),
        revision: Some(encode(ring.revision())),
        signing: ring.has_signing_keys(),
    };
    let mut json = Zeroizing::new(Vec::with_capacity(ROOM));
    let written = serde_json::to_writer_pretty(&mut *json, &file).map_err(io::Error::from);
    let written = written.and_then(|()| write_file(directory, NAME, &json));
    written.map_err(|error| KeysError::Io { path: directory.join(NAME), error })
}

fn parse(bytes: &[u8]) -> Result<Ring, String> {
    // serde_json's own text could quote the file.
    let mut file: RingFile =
        serde_json::from_slice(bytes).map_err(|error| format!("line {}", error.line()))?;
    let mut keys = BTreeMap::new();
    for (id, text) in file.keys {
        let key = decode(&text).ok_or_else(|| format!("key {id} is not 32 bytes of base64"))?;
        let (made, retired) = (file.made.remove(&id), file.retired.remove(&id));
        keys.insert(id, Key::new(key, made, retired));
    }
    let revision = match file.revision {
        Some(text) => Some(decode(&text).ok_or("the revision key is not 32 bytes of base64")?),
        None => None,
    };
    Ring::of(file.current, keys, revision, file.signing)
        .ok_or_else(|| "the current key is not among the keys".into())
}

fn encode(key: &SealingKey) -> Zeroizing<String> {
    Zeroizing::new(BASE64_STANDARD.encode(key.expose()))
}

fn decode(text: &str) -> Option<SealingKey> {
    let bytes = BASE64_STANDARD.decode(text).ok().map(Zeroizing::new)?;
    SealingKey::from_bytes(&bytes).ok()
}

/// Puts a file of secrets in its place, durably, for the service's user only.
pub(crate) fn write_file(directory: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    // Under another name first: a crash leaves the old file or the new one, and no half of either.
    let temporary = directory.join(format!("{name}.new"));
    let mut output =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    // Whatever the umask, and whoever has left a file there.
    output.set_permissions(Permissions::from_mode(0o600))?;
    output.write_all(contents)?;
    output.sync_all()?;
    fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}

//! Who may read the keys: the service's user, and nobody else.
//!
//! What belongs to this user must have no permissions for anybody else. What belongs to another user can only be
//! somebody's who has put it there for this process, as Kubernetes mounts a Secret: root's, readable by the group that
//! `fsGroup` names (mode 0440), in a directory that everybody may list. Such a file may be readable by its group, never
//! by others, and nobody but its owner may write to it or put another in its place.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::KeysError;

/// Longest file of keys, in bytes: some 16 keys of 200 bytes are usual.
const LONGEST: u64 = 256 * 1024;

const GROUP_OR_OTHERS: u32 = 0o077;
const OTHERS: u32 = 0o007;
const WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Creates the directory where there is none, for this user only, whatever the umask is.
pub(super) fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Refuses a directory in which others could read or replace keys.
pub(super) fn check_directory(path: &Path) -> Result<(), KeysError> {
    let found = fs::metadata(path).map_err(|error| KeysError::Io { path: path.to_owned(), error })?;
    refuse(path, &found, judge_directory(found.mode(), is_ours(&found)), "chmod 0700")
}

/// A file of keys, where there is one. Refuses one that others can read or write.
pub(crate) fn read_secret(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeysError> {
    let at = |error| KeysError::Io { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(error)),
    };
    let found = file.metadata().map_err(at)?;
    refuse(path, &found, judge_file(found.mode(), is_ours(&found)), "chmod 0600")?;
    // All the room at once: a buffer that grows leaves copies of its secrets behind.
    let room = usize::try_from(found.len().min(LONGEST)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 64));
    file.take(LONGEST).read_to_end(&mut bytes).map_err(at)?;
    Ok(Some(bytes))
}

fn refuse(
    path: &Path,
    found: &Metadata,
    judged: Result<(), &'static str>,
    remedy: &'static str,
) -> Result<(), KeysError> {
    let mode = found.mode() & 0o7777;
    judged.map_err(|wrong| KeysError::Exposed { path: path.to_owned(), wrong, mode, remedy })
}

fn is_ours(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

const fn judge_file(mode: u32, ours: bool) -> Result<(), &'static str> {
    if mode & OTHERS != 0 || (ours && mode & GROUP_OR_OTHERS != 0) {
        return Err("others than the service's user can read these keys");
    }
    if mode & WRITE != 0 {
        return Err("others than the service's user can replace these keys");
    }
    Ok(())
}

const fn judge_directory(mode: u32, ours: bool) -> Result<(), &'static str> {
    if ours && mode & GROUP_OR_OTHERS != 0 {
        return Err("others than the service's user can enter this directory of keys");
    }
    // With the sticky bit nobody can rename or remove what is another's.
    if mode & WRITE != 0 && mode & STICKY == 0 {
        return Err("others than the service's user can replace what is in this directory of keys");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t18_what_is_ours_is_for_nobody_else() {
        for mode in [0o600, 0o400, 0o700] {
            assert_eq!(judge_file(mode, true), Ok(()), "{mode:o}");
        }
        for mode in [0o640, 0o644, 0o604, 0o660, 0o602, 0o620, 0o601] {
            assert!(judge_file(mode, true).is_err(), "{mode:o}");
        }
        assert_eq!(judge_directory(0o700, true), Ok(()));
        assert_eq!(judge_directory(0o2700, true), Ok(()), "a group that is inherited has no permissions");
        for mode in [0o750, 0o755, 0o711, 0o1777, 0o770] {
            assert!(judge_directory(mode, true).is_err(), "{mode:o}");
        }
    }

    #[test]
    fn t18_what_is_mounted_for_our_group_is_for_nobody_else() {
        // A Secret of Kubernetes: with fsGroup, and without.
        for mode in [0o440, 0o400, 0o640] {
            assert_eq!(judge_file(mode, false), Ok(()), "{mode:o}");
        }
        for mode in [0o444, 0o644, 0o660, 0o404] {
            assert!(judge_file(mode, false).is_err(), "{mode:o}");
        }
        for mode in [0o3777, 0o1777, 0o755, 0o750] {
            assert_eq!(judge_directory(mode, false), Ok(()), "{mode:o}");
        }
        for mode in [0o777, 0o770, 0o2770] {
            assert!(judge_directory(mode, false).is_err(), "{mode:o}");
        }
    }
}

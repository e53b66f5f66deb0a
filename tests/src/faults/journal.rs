//! What the shim (`shim.c`) has journaled: everything that a program did to the files that are watched, in order.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The fixed part of a record: `struct header` of the shim.
const HEADER: usize = 40;
const CREATED: u32 = 1;
const TRUNCATED: u32 = 2;
const DIRECTORY: u32 = 4;

/// One thing that was done. Files are named by their inode once they are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A file or directory was opened, and perhaps created or emptied by that.
    Open {
        /// Its path.
        path: &'a Path,
        /// Its inode.
        inode: u64,
        /// Whether it was not there before.
        created: bool,
        /// Whether it was emptied (`O_TRUNC`).
        emptied: bool,
        /// Whether it is a directory.
        directory: bool,
    },
    /// Bytes were written.
    Write {
        /// Where.
        inode: u64,
        /// At which byte.
        offset: usize,
        /// What.
        data: &'a [u8],
    },
    /// A file's length was set.
    Truncate {
        /// Whose.
        inode: u64,
        /// To how many bytes.
        length: usize,
    },
    /// A file was renamed, perhaps over another.
    Rename {
        /// From.
        from: &'a Path,
        /// To.
        to: &'a Path,
    },
    /// A file or an empty directory was removed.
    Remove(&'a Path),
    /// A directory was made.
    MakeDirectory(&'a Path),
    /// A sync was begun, and has ended before the journal does: what came before is durable.
    Synced {
        /// What was synced.
        inode: u64,
    },
    /// A sync was begun, but whoever asked for it has no answer; or one that was begun earlier has ended.
    Nothing,
}

/// A journal that no shim has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal is damaged at byte {0}")]
pub struct Damaged(usize);

/// The records of a journal. A last one that is cut off was cut off by SIGKILL, and is left out.
pub fn parse(journal: &[u8]) -> Result<Vec<Record<'_>>, Damaged> {
    let mut raw = Vec::new();
    let mut rest = journal;
    while let Some((record, behind)) = split(rest) {
        raw.push((journal.len() - rest.len(), record));
        rest = behind;
    }
    let ended: HashSet<u64> =
        raw.iter().filter(|(_, record)| record.kind == 8).map(|(_, record)| record.number).collect();
    raw.into_iter().map(|(at, record)| record.understand(&ended).ok_or(Damaged(at))).collect()
}

/// A record as it was written.
struct Raw<'a> {
    kind: u32,
    flags: u32,
    inode: u64,
    number: u64,
    path: &'a Path,
    path2: &'a Path,
    data: &'a [u8],
}

fn split(journal: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let (header, rest) = journal.split_at_checked(HEADER)?;
    let word = |at: usize| header[at..at + 4].try_into().map(u32::from_ne_bytes).ok();
    let long = |at: usize| header[at..at + 8].try_into().map(u64::from_ne_bytes).ok();
    let length = |number: u64| usize::try_from(number).ok();
    let (path, rest) = rest.split_at_checked(length(word(8)?.into())?)?;
    let (path2, rest) = rest.split_at_checked(length(word(12)?.into())?)?;
    let (data, rest) = rest.split_at_checked(length(long(32)?)?)?;
    let (path, path2) = (Path::new(OsStr::from_bytes(path)), Path::new(OsStr::from_bytes(path2)));
    let (inode, number) = (long(16)?, long(24)?);
    Some((Raw { kind: word(0)?, flags: word(4)?, inode, number, path, path2, data }, rest))
}

// === impl Raw ===

impl<'a> Raw<'a> {
    fn understand(self, ended: &HashSet<u64>) -> Option<Record<'a>> {
        let Self { kind, flags, inode, number, path, path2, data } = self;
        let length = || usize::try_from(number).ok();
        Some(match kind {
            1 => Record::Open {
                path,
                inode,
                created: flags & CREATED != 0,
                emptied: flags & TRUNCATED != 0,
                directory: flags & DIRECTORY != 0,
            },
            2 => Record::Write { inode, offset: length()?, data },
            3 => Record::Truncate { inode, length: length()? },
            4 => Record::Rename { from: path, to: path2 },
            5 => Record::Remove(path),
            6 => Record::MakeDirectory(path),
            7 if ended.contains(&number) => Record::Synced { inode },
            7 | 8 => Record::Nothing,
            _ => return None,
        })
    }
}

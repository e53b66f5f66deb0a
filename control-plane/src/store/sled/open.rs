//! Opening the directory: whose it is, that nobody else has it, and that what it holds is durable.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ::sled::{Db, Tree};
use portcullis_proto::hardening::close_to_others;
use portcullis_proto::ids::Epoch;
use portcullis_proto::random::Random;
use portcullis_proto::revocation::Position;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::committer::MakeDurable;
use super::keys::{Key, Meta, Table};
use super::rows::{self, Read, Until, backend};
use super::tx::Tx;
use super::{clients, holders, mark, owned};
use crate::store::StoreError;

/// What the format row says.
const STORE: &str = "portcullis-control-plane";
const FORMAT: u32 = 1;

/// sled's page cache, in bytes.
const CACHE: u64 = 256 * 1024 * 1024;
/// sled's unit of allocation, in bytes. It keeps pages up to a quarter of this in the file that we sync.
pub(super) const SEGMENT: usize = 8 * 1024 * 1024;

/// How often, and how far apart, another process is waited for: a killed predecessor's lock vanishes at once.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why a store does not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file system says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{}: another process is using this store", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It holds something, but no store of ours.
    #[error("{}: this directory is not empty, and not a control plane's store", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// There was a store, and what is left of it is not what was there. It is left as it is.
    #[error("{}: the store that was here is damaged, restore it from a backup: {what}", path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// It was written by another version.
    #[error("{}: the store has format {found}, this program knows format {FORMAT}", path.display())]
    Format {
        /// The directory.
        path: PathBuf,
        /// The format that it has.
        found: u32,
    },
    /// The database in it does not open.
    #[error("{}: {source}", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
}

/// Whose store this is, and in which format.
#[derive(Debug, Serialize, Deserialize)]
struct Format {
    store: String,
    format: u32,
}

/// Opens or creates the database in the directory. What it returns makes it durable, and is called once
/// already.
pub(super) fn open(path: &Path, random: &dyn Random) -> Result<(Db, MakeDurable), OpenError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    create_directory(path).map_err(at(path))?;
    let was_there = mark::is_there(path).map_err(at(path))?;
    if !was_there {
        refuse_foreign_files(path)?;
    }
    wait_for_lock(path)?;
    if was_there && let Some(what) = mark::what_is_lost(path).map_err(at(path))? {
        return Err(damaged(path, what));
    }
    close_to_others(path).map_err(at(path))?;
    remove_unfinished_snapshots(path).map_err(at(path))?;
    sync_what_was_left(path).map_err(at(path))?;
    // Some damage makes sled panic instead of returning an error.
    let opened = catch_unwind(AssertUnwindSafe(|| open_database(path, random, was_there)));
    let (db, make_durable) = opened.unwrap_or_else(|_| Err(damaged(path, "sled panicked")))?;
    sync_directory(path).map_err(at(path))?;
    if !was_there {
        mark::leave(path).map_err(at(path))?;
    }
    Ok((db, make_durable))
}

fn damaged(path: &Path, what: &'static str) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), what }
}

fn open_database(path: &Path, random: &dyn Random, was_there: bool) -> Result<(Db, MakeDurable), OpenError> {
    let in_store = |source| OpenError::Store { path: path.to_owned(), source };
    let config =
        ::sled::Config::new().path(path).cache_capacity(CACHE).segment_size(SEGMENT).flush_every_ms(None);
    let db = config.open().map_err(|error| in_store(backend(error)))?;
    check_format(path, &db, was_there)?;
    prepare(&db, random).map_err(in_store)?;
    let file = path.join("db");
    let data = File::open(&file).map_err(|source| OpenError::Io { path: file, source })?;
    let mut make_durable = make_durable(db.clone(), data);
    make_durable().map_err(in_store)?;
    Ok((db, make_durable))
}

/// sled's flush hands the pages to the kernel and no further: only the second step survives a power cut.
fn make_durable(db: Db, data: File) -> MakeDurable {
    Box::new(move || {
        db.flush().map_err(backend)?;
        data.sync_data().map_err(backend)
    })
}

fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn refuse_foreign_files(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if path.join("conf").is_file() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(io)? {
        // sled begins with this directory: all that is left of a creation cut off early.
        if entry.map_err(io)?.file_name() != "blobs" {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
    }
    Ok(())
}

/// Waits until nobody has the database locked. sled takes the same lock when it opens; here it is asked for
/// only to know that a lock is what is in the way.
fn wait_for_lock(path: &Path) -> Result<(), OpenError> {
    let file = path.join("db");
    let io = |source| OpenError::Io { path: file.clone(), source };
    for tried in 1.. {
        let data = match File::open(&file) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
        };
        match data.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Err(TryLockError::WouldBlock) if tried == LOCK_TRIES => {
                return Err(OpenError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
        }
    }
    Ok(())
}

/// A process that was killed has left the end of its log in the kernel's memory. sled reads it there, and syncs a
/// snapshot that reaches to its end: after a power cut right then there would be a hole before it.
fn sync_what_was_left(path: &Path) -> io::Result<()> {
    match File::open(path.join("db")) {
        Ok(data) => data.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A snapshot that was cut off while it was written makes sled fail. It is only a shortcut to what the log
/// has.
fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn check_format(path: &Path, db: &Db, was_there: bool) -> Result<(), OpenError> {
    let foreign = || OpenError::Foreign { path: path.to_owned() };
    let in_store = |source| OpenError::Store { path: path.to_owned(), source };
    match db.row::<Format>(&Key::meta(Meta::Format)) {
        Ok(Some(format)) if format.store != STORE => Err(foreign()),
        Ok(Some(format)) if format.format != FORMAT => {
            Err(OpenError::Format { path: path.to_owned(), found: format.format })
        }
        Ok(Some(_)) => Ok(()),
        Ok(None) if was_there => Err(damaged(path, "what was in it is not there any more")),
        Ok(None) if db.is_empty() && db.tree_names().len() == 1 => Ok(()),
        Ok(None) | Err(StoreError::Row { .. }) => Err(foreign()),
        Err(error) => Err(in_store(error)),
    }
}

/// Writes what every store has, where it is not there, and counts anew what is counted.
fn prepare(tree: &Tree, random: &dyn Random) -> Result<(), StoreError> {
    let mut tx = Tx::new(tree);
    if tx.bytes(&Key::meta(Meta::Format))?.is_none() {
        let start = Position::start(Epoch::generate(random));
        tx.put(Key::meta(Meta::Format), &Format { store: STORE.into(), format: FORMAT })?;
        tx.put(Key::meta(Meta::Head), &start)?;
        tx.put(Key::meta(Meta::Base), &start)?;
        tx.put(Key::meta(Meta::LatestAccessExpiry), &Timestamp::default())?;
    }
    tx.put(Key::meta(Meta::UnusedClients), &count_expiring(tree, Table::Client)?)?;
    tx.put(Key::meta(Meta::Logins), &count_expiring(tree, Table::Pending)?)?;
    tx.put(Key::meta(Meta::Enrolments), &count_expiring(tree, Table::Enrolment)?)?;
    tx.put(Key::meta(Meta::Sessions), &count_expiring(tree, Table::Session)?)?;
    clients::prepare(tree, &mut tx)?;
    holders::prepare(tree, &mut tx)?;
    owned::prepare(tree, &mut tx)?;
    let provider_clients =
        rows::scan(tree, &Key::first(Table::ProviderClient), &Key::end(Table::ProviderClient));
    tx.put(Key::meta(Meta::ProviderClients), &(provider_clients.count() as u64))?;
    tx.into_batch().map_or(Ok(()), |batch| tree.apply_batch(batch)).map_err(backend)
}

fn count_expiring(tree: &Tree, table: Table) -> Result<u64, StoreError> {
    let mut count = 0;
    for row in rows::scan(tree, &Key::first(table), &Key::end(table)) {
        let (key, bytes) = row?;
        count += u64::from(rows::decode::<Until>(&key, &bytes)?.until.is_some());
    }
    Ok(count)
}

/// Syncs what sled has written without doing so: its parameters, its snapshots, and their names.
fn sync_directory(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(path)?.sync_all()?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

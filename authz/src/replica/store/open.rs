//! Opening the store, or starting over where that cannot be done.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use portcullis_proto::hardening::close_to_others;
use portcullis_proto::revocation::{Entry, Position};
use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::committer::{self, Committer};
use super::index::Index;
use super::{Generation, Store, layout};

/// Bytes of sled's cache for each record that may be kept: sled is dependable only while all live data fits.
const CACHE_PER_RECORD: u64 = 1024;
/// sled's unit of allocation, in bytes. It keeps pages up to a quarter of this in the file that we sync, and
/// longer ones in files of their own, which nobody syncs.
pub(super) const SEGMENT: usize = 8 << 20;
/// How often, and how long apart, sled's own lock is tried: 2 s in all.
const LOCK_ATTEMPTS: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What was in the store when it was opened.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The generation, and the log's position in it; `None` in an empty store.
    pub position: Option<(Generation, Position)>,
    /// The log's entries that have not been forgotten.
    pub entries: Vec<Entry>,
}

/// Why the store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Two instances must not share a store.
    #[error("another process uses the store {}", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be used.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Even an empty store does not open.
    #[error("the store {} does not open: {reason}", .path.display())]
    Unusable {
        /// Its directory.
        path: PathBuf,
        /// What sled says.
        reason: String,
    },
}

/// Why sled does not open.
#[derive(Debug, Error)]
enum Failure {
    /// This process has only just closed it, and a thread of sled's is not done yet.
    #[error("sled's own lock is held")]
    Locked,
    /// It is damaged, or of another format.
    #[error("{0}")]
    Unreadable(String),
}

/// An open database whose content is understood.
struct Database {
    db: sled::Db,
    records: sled::Tree,
    log: sled::Tree,
    /// How many records there are.
    count: usize,
    loaded: Loaded,
}

impl Store {
    /// Opens the store in directory `path`, which is created where there is none. What cannot be read is
    /// removed, and the store begins empty.
    pub fn open(path: &Path, max_records: usize) -> Result<(Self, Loaded), OpenError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))?;
        let lock = Arc::new(lock(path)?);
        let directory = path.join("sled");
        close_to_others(path).map_err(at(path))?;
        if directory.is_dir() {
            close_to_others(&directory).map_err(at(&directory))?;
        }
        let Database { db, records, log, count, loaded } = match open_database(&directory, max_records) {
            Err(Failure::Unreadable(reason)) => {
                warn!(store = %path.display(), reason, "the store cannot be read: starting over");
                fs::remove_dir_all(&directory).map_err(at(&directory))?;
                open_database(&directory, max_records)
            }
            opened => opened,
        }
        .map_err(|failure| OpenError::Unusable { path: path.to_owned(), reason: failure.to_string() })?;

        let file = directory.join("db");
        let file = File::open(&file).map_err(at(&file))?;
        let (commands, queue) = mpsc::channel(committer::QUEUE);
        let (durable, watch_durable) =
            watch::channel(loaded.position.map(|(generation, position)| (generation, position.sequence)));
        let index = Arc::new(Index::default());
        let count = Arc::new(AtomicUsize::new(count));
        let full = Arc::new(Notify::new());
        let failed = CancellationToken::new();
        let committer = Committer {
            path: path.to_owned(),
            db,
            records: records.clone(),
            index: index.clone(),
            log,
            file,
            commands: queue,
            durable,
            count: count.clone(),
            max_records,
            full: full.clone(),
            failed: failed.clone(),
            _lock: lock.clone(),
        };
        std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                if let Some(closed) = committer.run() {
                    let _ = closed.send(());
                }
            })
            .map_err(at(path))?;
        let store = Self {
            records,
            index,
            commands,
            durable: watch_durable,
            count,
            full,
            failed,
            _lock: lock,
            #[cfg(test)]
            reads_fail: std::sync::atomic::AtomicBool::new(false),
        };
        Ok((store, loaded))
    }
}

/// Beside sled's own lock, so that nothing is ever removed that another process has open.
fn lock(path: &Path) -> Result<File, OpenError> {
    let file = path.join("lock");
    let lock = File::create(&file).map_err(at(&file))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(at(&file)(source)),
    }
}

fn open_database(directory: &Path, max_records: usize) -> Result<Database, Failure> {
    let mut attempts = 1;
    loop {
        // Some damage makes sled panic instead of returning an error.
        let opened = catch_unwind(AssertUnwindSafe(|| try_open(directory, max_records)))
            .unwrap_or_else(|_| Err(unreadable("sled panicked")));
        match opened {
            Err(Failure::Locked) if attempts < LOCK_ATTEMPTS => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
        attempts += 1;
    }
}

fn try_open(directory: &Path, max_records: usize) -> Result<Database, Failure> {
    remove_unfinished_snapshots(directory)?;
    sync_what_was_left(directory)?;
    let cache = CACHE_PER_RECORD.saturating_mul(max_records as u64).max(64 << 20);
    let config = sled::Config::new().path(directory).cache_capacity(cache).segment_size(SEGMENT);
    let db = config.flush_every_ms(None).open()?;
    match db.get(layout::FORMAT_KEY)? {
        Some(format) if format == layout::FORMAT => {}
        None if !db.was_recovered() => {
            db.insert(layout::FORMAT_KEY, layout::FORMAT)?;
        }
        _ => return Err(unreadable("its format is another one")),
    }
    let records = db.open_tree("records")?;
    let log = db.open_tree("log")?;
    // Not counted anew: that would read all of them.
    let count = match records.get(layout::COUNT_KEY)? {
        Some(count) => layout::decode_count(&count).ok_or_else(|| unreadable("its count does not decode"))?,
        None => 0,
    };
    let loaded = load(&log)?;
    Ok(Database { db, records, log, count, loaded })
}

fn load(log: &sled::Tree) -> Result<Loaded, Failure> {
    let Some(value) = log.get(layout::POSITION_KEY)? else {
        return Ok(Loaded::default());
    };
    let (generation, position) =
        layout::decode_position(&value).ok_or_else(|| unreadable("its position does not decode"))?;
    let mut entries = Vec::new();
    for item in log.scan_prefix(layout::ENTRY_PREFIX) {
        let (key, value) = item?;
        let (of, entry) =
            layout::decode_entry(&key, &value).ok_or_else(|| unreadable("an entry does not decode"))?;
        if of == generation {
            entries.push(entry);
        }
    }
    Ok(Loaded { position: Some((generation, position)), entries })
}

/// A process that was killed has left the end of its log in the kernel's memory. sled reads it there, and syncs a
/// snapshot that reaches to its end: after a power cut right then there would be a hole before it.
fn sync_what_was_left(directory: &Path) -> io::Result<()> {
    match File::open(directory.join("db")) {
        Ok(data) => data.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A power cut can leave one half written, and sled refuses to open beside it.
fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    let files = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

fn unreadable(reason: &str) -> Failure {
    Failure::Unreadable(reason.to_owned())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}

// === impl Failure ===

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Self {
        let reason = error.to_string();
        if reason.contains("could not acquire lock") { Self::Locked } else { Self::Unreadable(reason) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

//! A small library under the programs (`shim.c`): it journals what they do to their files, and shifts their wall
//! clock. From the journal comes what a power cut would have left.
//!
//! A power cut here is SIGKILL between two operations, and then the watched directories are put back to what
//! [`disk`] says that a disk might hold. It is repeatable from the seed as far as the program is.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, io, process};

use thiserror::Error;

use super::image::Image;
use super::{disk, journal};
use crate::binaries::root;

/// A program's shim: its journal and its clock.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
    home: PathBuf,
    watched: Vec<PathBuf>,
    /// What was there, durably, when the journal began.
    before: Image,
}

/// The shim cannot do its work.
#[derive(Debug, Error)]
pub enum ShimError {
    /// A file of its own, or one that it watches.
    #[error("the fault shim: {0}")]
    Io(#[from] io::Error),
    /// There is no C compiler, or it refuses.
    #[error("the fault shim does not compile: {0}")]
    Compiler(String),
    /// The journal is not one.
    #[error("the fault shim: {0}")]
    Journal(#[from] journal::Damaged),
}

// === impl Shim ===

impl Shim {
    /// Watches directories (absolute paths without symbolic links) for one program. What the shim needs itself is
    /// kept in `home`, which is made, and lies outside of them.
    pub fn watch(home: &Path, watched: &[PathBuf]) -> Result<Self, ShimError> {
        fs::create_dir_all(home)?;
        let before = Image::read(watched)?;
        let shim = Self { library: library()?, home: home.to_owned(), watched: watched.to_owned(), before };
        File::create(shim.journal())?;
        File::create(shim.clock())?;
        shim.set_clock(0)?;
        Ok(shim)
    }

    /// What the program must have in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let watched: Vec<_> = self.watched.iter().map(|path| text(path)).collect();
        [
            ("LD_PRELOAD", text(&self.library)),
            ("PORTCULLIS_SHIM_WATCH", watched.join(":")),
            ("PORTCULLIS_SHIM_JOURNAL", text(&self.journal())),
            ("PORTCULLIS_SHIM_CLOCK", text(&self.clock())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Sets the program's wall clock this many milliseconds ahead of the machine's, at once.
    pub fn set_clock(&self, ahead: i64) -> io::Result<()> {
        File::options().write(true).open(self.clock())?.write_all_at(&ahead.to_ne_bytes(), 0)
    }

    /// Does something, such as killing the program, while it is between two operations: the journal has all that
    /// it has done. Waits for as long as an operation takes, so the program must not be stopped.
    pub fn between_operations<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        let journal = File::open(self.journal())?;
        journal.lock()?;
        Ok(act())
    }

    /// What a power cut might leave, if it came now.
    pub fn after_power_cut(&self, seed: u64) -> Result<Image, ShimError> {
        let bytes = fs::read(self.journal())?;
        Ok(disk::power_cut(&self.before, &journal::parse(&bytes)?, seed))
    }

    /// Puts the watched directories back to what a power cut might have left. The program has been killed.
    pub fn power_cut(&mut self, seed: u64) -> Result<(), ShimError> {
        let after = self.after_power_cut(seed)?;
        after.replace(&self.watched)?;
        File::create(self.journal())?;
        self.before = after;
        Ok(())
    }

    /// What is wrong with the journal: the paths which it has otherwise than the watched directories, while no
    /// program runs. Empty, unless it has missed something.
    pub fn missed(&self) -> Result<Vec<PathBuf>, ShimError> {
        let bytes = fs::read(self.journal())?;
        let journaled = disk::everything(&self.before, &journal::parse(&bytes)?).0;
        let there = Image::read(&self.watched)?.0;
        let paths = journaled.keys().chain(there.keys());
        Ok(paths.filter(|path| journaled.get(*path) != there.get(*path)).cloned().collect())
    }

    fn journal(&self) -> PathBuf {
        self.home.join("journal")
    }

    fn clock(&self) -> PathBuf {
        self.home.join("clock")
    }
}

/// Compiles the shim, once in each process, beside the running executable.
fn library() -> Result<PathBuf, ShimError> {
    static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    LIBRARY.get_or_init(|| compile().map_err(|error| error.to_string())).clone().map_err(ShimError::Compiler)
}

fn compile() -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let library = own.with_file_name("libportcullis_fault_shim.so");
    let unfinished = library.with_extension(format!("{}", process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o"]);
    let output = compiler.arg(&unfinished).arg(root().join("tests/src/faults/shim.c")).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    // Other tests may have it loaded: they keep theirs.
    fs::rename(&unfinished, &library)?;
    Ok(library)
}

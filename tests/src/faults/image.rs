//! Directories as values.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Everything below some directories, these included: the contents of files, and `None` for a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image(pub BTreeMap<PathBuf, Option<Vec<u8>>>);

// === impl Image ===

impl Image {
    /// Reads directories. What is not there is left out.
    pub fn read(directories: &[PathBuf]) -> io::Result<Self> {
        let mut image = Self::default();
        directories.iter().filter(|path| path.exists()).try_for_each(|path| image.add(path))?;
        Ok(image)
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        if !path.is_dir() {
            self.0.insert(path.to_owned(), Some(fs::read(path)?));
            return Ok(());
        }
        self.0.insert(path.to_owned(), None);
        fs::read_dir(path)?.try_for_each(|entry| self.add(&entry?.path()))
    }

    /// Puts this in the place of what the directories hold. Files get mode 0600, directories 0700.
    pub fn replace(&self, directories: &[PathBuf]) -> io::Result<()> {
        directories.iter().filter(|path| path.exists()).try_for_each(fs::remove_dir_all)?;
        // A directory sorts before what it holds.
        for (path, contents) in &self.0 {
            match contents {
                None => DirBuilder::new().recursive(true).mode(0o700).create(path)?,
                Some(contents) => {
                    File::options()
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(path)?
                        .write_all(contents)?;
                }
            }
        }
        Ok(())
    }
}

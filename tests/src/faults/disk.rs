//! What a disk may hold after a power cut, worked out from the journal of what a program did.
//!
//! The model is a journaling file system such as ext4 (`data=ordered`), read as its promises go and no further:
//!
//! - What was in a file when a sync of it began is there, once that sync has ended: its bytes, its length, and
//!   for a file that was new its name. Nothing else is promised.
//! - Names and lengths (create, rename, remove, truncate, growth) are committed in the order in which they were
//!   done, so some first part of them survives. A sync of a file or directory that has uncommitted ones commits
//!   all that were done before it.
//! - Bytes that were written after the last sync come to the disk in any order, or not at all, a sector of 512
//!   bytes at a time. A sector holds what the page cache held of it at some moment: a later write to the same
//!   sector brings the earlier one with it.
//! - A file may have grown without the bytes that made it grow: those read as zeros.
//!
//! How much is lost is drawn anew for each power cut: everything, nearly nothing, or something in between.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::dice::Dice;
use super::image::Image;
use super::journal::Record;

const SECTOR: usize = 512;

/// What is there after a power cut at the end of the journal. `before` was there, durably, at its beginning.
pub fn power_cut(before: &Image, journal: &[Record<'_>], seed: u64) -> Image {
    let mut dice = Dice::new(seed);
    let (_, committed) = Disk::replay(before, journal, journal.len(), |_| Fate::Written);
    let uncommitted = (journal.len() - committed) as u64;
    let horizon = match dice.below(4) {
        0 => committed,
        1 => journal.len(),
        _ => journal.len() - usize::try_from(dice.below(uncommitted + 1)).unwrap_or(0),
    };
    let kept = [0, 10, 50, 90, 100][usize::try_from(dice.below(5)).unwrap_or(0)];
    let (disk, _) = Disk::replay(before, journal, horizon, |sectors| match percent(&mut dice, kept) {
        true if percent(&mut dice, 75) => Fate::Written,
        true => Fate::Torn((0..sectors).map(|_| percent(&mut dice, 50)).collect()),
        false if percent(&mut dice, 10) => Fate::Zeros,
        false => Fate::Lost,
    });
    disk.image()
}

/// Whether something happens that does so in this many of a hundred cases.
fn percent(dice: &mut Dice, cases: u64) -> bool {
    dice.below(100) < cases
}

/// What is there where the power stays on: the directory as programs see it.
pub fn everything(before: &Image, journal: &[Record<'_>]) -> Image {
    Disk::replay(before, journal, journal.len(), |_| Fate::Written).0.image()
}

/// What becomes of a write that no sync follows.
enum Fate {
    /// It is on the disk.
    Written,
    /// Some of its sectors are.
    Torn(Vec<bool>),
    /// The file has grown by it, nothing more.
    Zeros,
    /// It never was.
    Lost,
}

/// The file system while the journal is replayed.
#[derive(Default)]
struct Disk {
    nodes: Vec<Node>,
    /// As programs see them.
    names: BTreeMap<PathBuf, usize>,
    /// As they are on the disk, once that is settled.
    durable: Option<BTreeMap<PathBuf, usize>>,
    inodes: HashMap<u64, usize>,
    /// Names and lengths that were changed before this record are committed.
    committed: usize,
}

/// A file or a directory.
#[derive(Default)]
struct Node {
    directory: bool,
    /// As programs see it.
    cached: Vec<u8>,
    /// As it is on the disk.
    disk: Vec<u8>,
    /// What was written since the last sync.
    dirty: Vec<Range<usize>>,
    /// From here on the disk's blocks are not this file's any more, though it does not know.
    cut: Option<usize>,
    /// One more than the last record that changed its name or length.
    changed: usize,
}

// === impl Disk ===

impl Disk {
    /// Replays the journal. Changes of names and lengths from record `horizon` on do not survive. Returns the
    /// end, and up to which record names and lengths are certainly there.
    fn replay(
        before: &Image,
        journal: &[Record<'_>],
        horizon: usize,
        mut fate: impl FnMut(usize) -> Fate,
    ) -> (Self, usize) {
        let mut disk = Self::default();
        for (path, contents) in &before.0 {
            let cached = contents.clone().unwrap_or_default();
            let node =
                Node { directory: contents.is_none(), disk: cached.clone(), cached, ..Node::default() };
            disk.add(path, node);
        }
        for (index, record) in journal.iter().enumerate() {
            if index == horizon {
                disk.durable = Some(disk.names.clone());
            }
            disk.apply(index, record, index < horizon, &mut fate);
        }
        let committed = disk.committed;
        (disk, committed)
    }

    fn apply(
        &mut self,
        index: usize,
        record: &Record<'_>,
        commits: bool,
        fate: &mut impl FnMut(usize) -> Fate,
    ) {
        match *record {
            Record::Open { path, inode, created, emptied, directory } => {
                if created {
                    let id = self.add(path, Node { directory, ..Node::default() });
                    self.changed(index, path, Some(id));
                }
                let Some(&id) = self.names.get(path) else { return };
                self.inodes.insert(inode, id);
                if emptied && !created {
                    self.nodes[id].truncate(0, commits);
                    self.nodes[id].changed = index + 1;
                }
            }
            Record::Write { inode, offset, data } => {
                let Some(node) = self.node(inode) else { return };
                if offset + data.len() > node.cached.len() {
                    node.changed = index + 1;
                }
                node.write(offset, data, commits, fate);
            }
            Record::Truncate { inode, length } => {
                let Some(node) = self.node(inode) else { return };
                node.truncate(length, commits);
                node.changed = index + 1;
            }
            Record::Rename { from, to } => {
                let Some(id) = self.names.remove(from) else { return };
                assert!(!self.nodes[id].directory, "renaming a directory is not in the model");
                self.names.insert(to.to_owned(), id);
                self.changed(index, from, None);
                self.changed(index, to, None);
            }
            Record::Remove(path) => {
                self.names.remove(path);
                self.changed(index, path, None);
            }
            Record::MakeDirectory(path) => {
                let id = self.add(path, Node { directory: true, ..Node::default() });
                self.changed(index, path, Some(id));
            }
            Record::Synced { inode } => {
                let committed = self.committed;
                let Some(node) = self.node(inode) else { return };
                node.sync();
                if node.changed > committed {
                    self.committed = index;
                }
            }
            Record::Nothing => {}
        }
    }

    fn add(&mut self, path: &Path, node: Node) -> usize {
        self.nodes.push(node);
        self.names.insert(path.to_owned(), self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn node(&mut self, inode: u64) -> Option<&mut Node> {
        self.inodes.get(&inode).map(|&id| &mut self.nodes[id])
    }

    /// A name has changed in its directory; a new node is not committed without its name.
    fn changed(&mut self, index: usize, path: &Path, new: Option<usize>) {
        let parent = path.parent().and_then(|parent| self.names.get(parent).copied());
        for id in [parent, new].into_iter().flatten() {
            self.nodes[id].changed = index + 1;
        }
    }

    fn image(self) -> Image {
        let names = self.durable.unwrap_or(self.names);
        let contents = |id: usize| (!self.nodes[id].directory).then(|| self.nodes[id].disk.clone());
        Image(names.into_iter().map(|(path, id)| (path, contents(id))).collect())
    }
}

// === impl Node ===

impl Node {
    fn write(&mut self, offset: usize, data: &[u8], commits: bool, fate: &mut impl FnMut(usize) -> Fate) {
        let end = offset + data.len();
        grow(&mut self.cached, end);
        self.cached[offset..end].copy_from_slice(data);
        let sectors = offset / SECTOR..end.div_ceil(SECTOR);
        self.dirty.push(sectors.clone());
        match fate(sectors.len()) {
            Fate::Written => self.write_back(&sectors, commits),
            Fate::Torn(survive) => {
                for (sector, _) in sectors.zip(survive).filter(|(_, survives)| *survives) {
                    self.write_back(&(sector..sector + 1), commits);
                }
            }
            Fate::Zeros if commits => grow(&mut self.disk, end),
            Fate::Zeros | Fate::Lost => {}
        }
    }

    /// Brings sectors to the disk as they are now. Where the file's growth is lost, so is what it grew by.
    fn write_back(&mut self, sectors: &Range<usize>, grows: bool) {
        let mut end = (sectors.end * SECTOR).min(self.cached.len());
        if grows {
            grow(&mut self.disk, end);
        } else {
            end = end.min(self.disk.len()).min(self.cut.unwrap_or(usize::MAX));
        }
        let start = sectors.start * SECTOR;
        if start < end {
            self.disk[start..end].copy_from_slice(&self.cached[start..end]);
        }
    }

    fn truncate(&mut self, length: usize, commits: bool) {
        set_length(&mut self.cached, length);
        if commits {
            set_length(&mut self.disk, length);
        } else {
            self.cut = Some(self.cut.unwrap_or(usize::MAX).min(length));
        }
    }

    fn sync(&mut self) {
        set_length(&mut self.disk, self.cached.len());
        for sectors in std::mem::take(&mut self.dirty) {
            self.write_back(&sectors, true);
        }
    }
}

/// Cuts off, or fills up with zeros.
fn set_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.truncate(length);
    grow(bytes, length);
}

/// Fills up with zeros. Block by block: `Vec::resize` is slow where tests are not optimized.
fn grow(bytes: &mut Vec<u8>, length: usize) {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    while bytes.len() < length {
        bytes.extend_from_slice(&ZEROS[..ZEROS.len().min(length - bytes.len())]);
    }
}

#[cfg(test)]
mod tests;

//! An instance as `sync`, `resolve` and `sweep` drive it, without a network; and the log that it follows.

use std::fs;
use std::path::Path;

use portcullis_proto::ids::Epoch;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::v1;
use tempfile::TempDir;

use super::super::step::{Step, step};
use super::super::store::Sweep;
use super::super::sweep::Pass;
use super::*;
use crate::testing::server;

/// The replica and where it is stored.
pub(super) struct Instance {
    pub(super) replica: Replica,
    directory: TempDir,
}

/// What the instance says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has no record, and would ask.
    Absent,
    Permitted,
    Refused(&'static str),
}

/// A revocation log as the control plane has it.
#[derive(Clone, Debug)]
pub(super) struct Log {
    epoch: u64,
    pub(super) base: Position,
    entries: Vec<(Entry, Position)>,
}

// === impl Instance ===

impl Instance {
    pub(super) fn new() -> Self {
        Self::open(TempDir::new().unwrap())
    }

    fn open(directory: TempDir) -> Self {
        let (store, loaded) = Store::open(directory.path(), 1000).unwrap();
        let replica = Replica::new(store, &loaded, Duration::from_mins(1), &SystemRandom);
        replica.set_catalog(Catalog::default());
        Self { replica, directory }
    }

    /// Stops as it does when it is told to, and comes back.
    pub(super) async fn restart(self) -> Self {
        let Self { replica, directory } = self;
        replica.store.close().await;
        drop(replica);
        Self::open(directory)
    }

    /// Is killed, and comes back with the files as they were at that moment: what is queued is lost.
    pub(super) fn crash(self) -> Self {
        let copy = TempDir::new().unwrap();
        copy_directory(self.directory.path(), copy.path());
        drop(self);
        Self::open(copy)
    }

    /// Takes in what comes on the stream.
    async fn hear(&self, message: v1::watch_response::Message) {
        let message = v1::WatchResponse { message: Some(message) };
        match step(self.replica.position(), message).unwrap() {
            Step::StartOver(from) => self.replica.start_over(from, &SystemRandom).await.unwrap(),
            Step::Append(entries, position) => self.replica.append(&entries, position).await.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn start_over(&self, from: Position) {
        self.hear(v1::watch_response::Message::StartOver(v1::StartOver { from: Some(from.into()) })).await;
    }

    /// Takes in the log's next entries, `limit` at most.
    pub(super) async fn deliver(&self, log: &Log, limit: usize) {
        let position = self.replica.position().unwrap();
        let entries = log.after(position).take(limit).map(Into::into).collect();
        self.hear(v1::watch_response::Message::Entries(v1::Entries { entries })).await;
    }

    /// A new stream begins: from its position, where the log has that, else from the log's base.
    pub(super) async fn reconnect(&self, log: &Log) {
        let durable = *self.replica.settled().await.unwrap().borrow();
        let position = self.replica.position();
        assert_eq!(durable.map(|(_, sequence)| sequence), position.map(|position| position.sequence));
        // A write that changes nothing, behind the records that are still to be written.
        let nobodys = Generation::generate(&SystemRandom);
        self.replica.store.sweep(nobodys, Sweep::Entries, Timestamp::default(), None).await.unwrap();
        self.replica.reconnect();
        if !position.is_some_and(|position| log.has(position)) {
            self.start_over(log.base).await;
        }
    }

    /// A heartbeat that was asked for just now.
    pub(super) fn heartbeat(&self, head: Sequence, now: Timestamp) {
        self.replica.heartbeat(head, moment(now), None);
    }

    pub(super) async fn sweep(&self, cutoff: Timestamp) {
        let mut pass = Pass::begin(&self.replica, cutoff);
        while pass.step(&self.replica).await.unwrap() {}
    }

    /// What a request with this token is told.
    pub(super) fn ask(&self, record: &TokenRecord, now: Timestamp) -> Verdict {
        match self.replica.resident(record.token).unwrap() {
            None => Verdict::Absent,
            Some(known) => self.judge(&known, now),
        }
    }

    /// What a request is told that has looked the record up earlier.
    pub(super) fn judge(&self, known: &Known, now: Timestamp) -> Verdict {
        let server = Server { name: known.record.server.clone(), ..server() };
        match self.replica.judge(&server, known, now) {
            Ok(_) => Verdict::Permitted,
            Err(denial) => Verdict::Refused(denial.reason()),
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_directory(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

// === impl Log ===

impl Log {
    pub(super) fn new(epoch: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&epoch.to_be_bytes());
        Self { epoch, base: Position::start(Epoch(bytes)), entries: Vec::new() }
    }

    /// An empty one of another epoch.
    pub(super) fn next(&self) -> Self {
        Self::new(self.epoch + 1)
    }

    pub(super) fn head(&self) -> Position {
        self.entries.last().map_or(self.base, |(_, position)| *position)
    }

    /// Appends an entry that must be remembered until `forget_at`.
    pub(super) fn append(&mut self, scope: Scope, at: Timestamp, forget_at: Timestamp) -> Entry {
        let entry = Entry { sequence: self.head().sequence.next(), at, forget_at, scope };
        let position = self.head().after(&entry).unwrap();
        self.entries.push((entry.clone(), position));
        entry
    }

    pub(super) fn has(&self, position: Position) -> bool {
        position == self.base || self.entries.iter().any(|(_, own)| *own == position)
    }

    pub(super) fn after(&self, position: Position) -> impl Iterator<Item = Entry> {
        let behind = move |(entry, _): &&(Entry, Position)| entry.sequence > position.sequence;
        self.entries.iter().filter(behind).map(|(entry, _)| entry.clone())
    }

    /// Forgets the entries at the front that can hit nothing any more.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let live = self.entries.iter().position(|(entry, _)| now < entry.forget_at);
        if let Some((_, position)) = self.entries.drain(..live.unwrap_or(self.entries.len())).next_back() {
            self.base = position;
        }
    }
}

//! What the replica knows of the log, the catalog and the time: the part of it that decisions read.

use std::time::Duration;

use portcullis_proto::ids::Sequence;
use portcullis_proto::random::Random;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Position;
use portcullis_proto::time::Timestamp;

use super::freshness::{Freshness, Moment};
use super::skew::Skew;
use super::store::{Generation, Loaded};
use super::tombstones::Tombstones;
use crate::catalog::Catalog;
use crate::decide::Outage;

/// What changes together. Requests look at one that does not change; each change makes another, which shares with it what
/// is large.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) generation: Generation,
    pub(super) position: Option<Position>,
    /// The last entry that was heard of.
    pub(super) head: Sequence,
    pub(super) tombstones: Tombstones,
    /// Up to here, what had expired and what could hit nothing else is being removed, or has been.
    pub(super) swept: Timestamp,
    pub(super) catalog: Option<Catalog>,
    pub(super) freshness: Freshness,
    /// Of this machine's clock, at the last heartbeat.
    pub(super) skew: Option<Skew>,
}

// === impl View ===

impl View {
    /// As it was left on disk: without a catalog, and not current.
    pub(super) fn new(loaded: &Loaded, random: &dyn Random) -> Self {
        let mut tombstones = Tombstones::default();
        for entry in &loaded.entries {
            tombstones.add(entry);
        }
        let (generation, position) = match loaded.position {
            Some((generation, position)) => (generation, Some(position)),
            None => (Generation::generate(random), None),
        };
        Self {
            generation,
            position,
            head: position.map_or(Sequence(0), |position| position.sequence),
            tombstones,
            swept: Timestamp::default(),
            catalog: None,
            freshness: Freshness::default(),
            skew: None,
        }
    }

    /// The catalog, where nothing stands against deciding.
    pub(super) fn current(&self, max_staleness: Duration, now: Moment) -> Result<&Catalog, Outage> {
        if self.skew.is_some() {
            return Err(Outage::ClockSkew);
        }
        if !self.freshness.within(max_staleness, now) {
            return Err(Outage::Stale);
        }
        self.catalog.as_ref().ok_or(Outage::Stale)
    }

    /// The last entry in force.
    pub(super) fn applied(&self) -> Sequence {
        self.position.map_or(Sequence(0), |position| position.sequence)
    }

    /// Forgets what is revoked; the log continues behind `from`.
    pub(super) fn start_over(&mut self, generation: Generation, from: Position) {
        self.generation = generation;
        self.swept = Timestamp::default(); // of this generation, nothing has been removed
        self.tombstones = Tombstones::default();
        self.position = Some(from);
        self.head = from.sequence;
        self.freshness.reconnect();
    }

    /// Whether a record may be kept on disk. Not where it had expired before a sweep that has forgotten what could hit
    /// it; nor where it was born after the position, which alone tells the control plane what this disk hangs on.
    pub(super) fn may_keep(&self, record: &TokenRecord) -> bool {
        self.swept < record.expires_at && record.born <= self.applied()
    }

    /// Another stream begins: what the last one announced does not count there.
    pub(super) fn reconnect(&mut self) {
        self.head = self.applied();
        self.freshness.reconnect();
    }

    /// Everything up to `position` is in force.
    pub(super) fn advance(&mut self, position: Position) {
        self.position = Some(position);
        self.head = self.head.max(position.sequence);
        self.freshness.advance(position.sequence);
    }

    /// Takes in a heartbeat that was asked for at `asked`, and gives the skew there was before.
    pub(super) fn heartbeat(&mut self, head: Sequence, asked: Moment, skew: Option<Skew>) -> Option<Skew> {
        self.head = head.max(self.applied());
        self.freshness.heartbeat(head, self.applied(), asked);
        std::mem::replace(&mut self.skew, skew)
    }
}

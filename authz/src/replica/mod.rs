//! The replica: what this instance knows, in memory and on disk.
//!
//! [`sync`] keeps it current, [`resolve`] adds records on first sight, [`sweep`] removes what is dead;
//! the request path asks it three questions: may this server be decided for ([`Replica::admit`]), what
//! is known of this token ([`Replica::resident`]), may it pass ([`Replica::judge`]).

mod backoff;
pub mod freshness;
mod hot;
pub mod resolve;
pub mod skew;
mod step;
pub mod store;
pub mod sweep;
pub mod sync;
pub mod tombstones;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use portcullis_proto::ids::{Sequence, TokenId};
use portcullis_proto::random::Random;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info};

use crate::catalog::{Catalog, Server};
use crate::decide::{Denial, Outage, Permit, decide};
use crate::telemetry::Seldom;
use freshness::Moment;
use hot::{Era, Hot};
use skew::Skew;
use store::{Durable, Generation, Loaded, Store, StoreError};
use view::{Asked, View};

/// How far a clock may be set back behind the last sweep without more ado.
const SET_BACK: Duration = Duration::from_mins(1);

/// Everything this instance knows.
#[derive(Debug)]
pub struct Replica {
    view: ArcSwap<View>,
    /// Held while a change is made, by whoever makes it. Requests that have what they need never do.
    changing: Mutex<()>,
    hot: Hot,
    store: Store,
    max_staleness: Duration,
    unreadable: Seldom,
}

/// A record, and the generation that it was asked for in.
#[derive(Debug)]
pub struct Known {
    /// The record.
    pub record: TokenRecord,
    generation: Generation,
    era: Era,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Records on disk.
    pub records: usize,
    /// Scopes that are revoked.
    pub tombstones: usize,
    /// The last entry in force.
    pub applied: Sequence,
    /// The last entry that was heard of.
    pub head: Sequence,
    /// How long ago the replica was known to be complete; `None` before the first catch-up.
    pub age: Option<Duration>,
    /// How wrong this machine's clock is, where it is too wrong to decide by.
    pub skew: Option<Skew>,
}

// === impl Replica ===

impl Replica {
    /// The replica as it was left on disk. It is not current before it has caught up.
    pub fn new(store: Store, loaded: &Loaded, max_staleness: Duration, random: &dyn Random) -> Self {
        let view = ArcSwap::from_pointee(View::new(loaded, random));
        Self {
            view,
            changing: Mutex::default(),
            hot: Hot::new(),
            store,
            max_staleness,
            unreadable: Seldom::default(),
        }
    }

    /// The server of this name, where the replica is current enough to decide for it.
    pub fn admit(&self, server: &str, now: Timestamp) -> Result<Arc<Server>, Outage> {
        let view = self.view();
        let catalog = view.current(self.max_staleness, moment(now))?;
        catalog.get(server).cloned().ok_or(Outage::UnknownServer)
    }

    /// Whether the replica is current enough to decide.
    pub fn ready(&self, now: Timestamp) -> Result<(), Outage> {
        self.view().current(self.max_staleness, moment(now)).map(drop)
    }

    /// The record of a token, where this instance has it.
    pub fn resident(&self, id: TokenId) -> Result<Option<Arc<Known>>, Outage> {
        let generation = self.generation();
        if let Some(known) = self.hot(id, generation) {
            return Ok(Some(known));
        }
        let era = self.hot.era();
        let stored = self.store.get(&id).map_err(|error| {
            if self.unreadable.now() {
                error!(token = ?id, %error, "a record cannot be read");
            }
            Outage::Store
        })?;
        Ok(stored.filter(|(of, _)| *of == generation).map(|(generation, record)| {
            let known = Arc::new(Known { record, generation, era });
            self.hot.offer(&known);
            known
        }))
    }

    /// Decides by what is revoked at this moment.
    pub fn judge<'a>(&self, server: &Server, known: &'a Known, now: Timestamp) -> Result<Permit<'a>, Denial> {
        let view = self.view();
        if known.generation != view.generation {
            return Err(Outage::StartedOver.into()); // its revocation may be among what was forgotten
        }
        if now < view.swept && known.record.expires_at <= view.swept {
            return Err(Outage::ClockWentBack.into()); // and here too
        }
        Ok(decide(server, &known.record, &view.tombstones, now)?)
    }

    /// Figures for metrics.
    pub fn figures(&self, now: Timestamp) -> Figures {
        let view = self.view();
        Figures {
            records: self.store.len(),
            tombstones: view.tombstones.len(),
            applied: view.applied(),
            head: view.head,
            age: view.freshness.age(moment(now)),
            skew: view.skew,
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn generation(&self) -> Generation {
        self.view().generation
    }

    fn hot(&self, id: TokenId, generation: Generation) -> Option<Arc<Known>> {
        self.hot.get(&id).filter(|known| known.generation == generation)
    }

    /// What an answer of the control plane hangs on that is asked for now.
    fn question(&self) -> Asked {
        self.view().asked()
    }

    /// Keeps an answer of the control plane.
    fn learn(&self, asked: Asked, record: TokenRecord) -> Arc<Known> {
        let Asked { generation, stream } = asked;
        // Nothing changes until the record is in the queue: a sweep that begins meanwhile comes behind it, and so
        // does a stream.
        let _unchanged = self.changing();
        // This era's, although it was asked for earlier: where a stream has begun since, it is not kept.
        let known = Arc::new(Known { record: record.clone(), generation, era: self.hot.era() });
        let view = self.view();
        if stream == view.stream {
            self.hot.insert(known.clone());
            if view.may_keep(&record) {
                self.store.put(generation, record);
            }
        }
        known
    }

    /// Whether a sweep went by a time that is well after `now`.
    fn swept_ahead_of(&self, now: Timestamp) -> bool {
        self.view().swept.since(now) > SET_BACK
    }

    fn position(&self) -> Option<Position> {
        self.view().position
    }

    /// Waits until the position is durable; the receiver then tells of later ones only.
    async fn settled(&self) -> Result<watch::Receiver<Durable>, StoreError> {
        let expected = {
            let view = self.view();
            view.position.map(|position| (view.generation, position.sequence))
        };
        let mut durable = self.store.durable();
        durable.wait_for(|durable| *durable == expected).await.map_err(|_| StoreError::Stopped)?;
        Ok(durable)
    }

    fn set_catalog(&self, catalog: Catalog) {
        self.change(|view| view.catalog = Some(catalog));
    }

    /// Forgets records and tombstones; the log continues behind `from`.
    async fn start_over(&self, from: Position, random: &dyn Random) -> Result<(), StoreError> {
        let place = self.store.place().await?;
        let generation = Generation::generate(random);
        self.change(|view| {
            view.start_over(generation, from);
            place.append(generation, &[], from);
        });
        Ok(())
    }

    /// Puts entries in force, then has them written: they may be acknowledged before the second change shows, and are in force
    /// by the first. Dropped in between, it has not moved the position: the entries come again.
    async fn append(&self, entries: &[Entry], position: Position) -> Result<(), StoreError> {
        self.change(|view| entries.iter().for_each(|entry| view.tombstones.add(entry)));
        let place = self.store.place().await?;
        self.change(|view| {
            view.advance(position);
            place.append(view.generation, entries, position);
        });
        Ok(())
    }

    /// Takes in a heartbeat that was asked for at `asked`.
    fn heartbeat(&self, head: Sequence, asked: Moment, skew: Option<Skew>) {
        let before = self.change(|view| view.heartbeat(head, asked, skew));
        match (before, skew) {
            (None, Some(skew)) => {
                error!("this machine's clock is {skew}: nothing is decided until they agree");
            }
            (Some(_), None) => info!("this machine's clock agrees with the control plane's again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// Another stream begins. Records that were born after the position hang on a log that need not be the one which
    /// comes now: a control plane may have been restored from a backup that has the position, and nothing after it. Nor
    /// are those kept that arrive from now on and were asked for before.
    fn reconnect(&self) {
        self.change(View::reconnect);
        self.cool();
    }

    /// Has every record read from the store again: some may have been removed there.
    fn cool(&self) {
        self.hot.clear();
    }

    /// A sweep begins. Until now, what it will remove may have been learned; from now on it may not.
    /// It is for the generation that is returned.
    fn begin_sweep(&self, cutoff: Timestamp) -> Generation {
        self.change(|view| {
            view.swept = view.swept.max(cutoff);
            view.generation
        })
    }

    /// Forgets what a sweep of this generation has removed. `false` where there is another one by now, whose revocations
    /// stay.
    fn forget(&self, generation: Generation, scopes: &[Scope], cutoff: Timestamp) -> bool {
        self.change(|view| {
            let is_current = view.generation == generation;
            if is_current {
                for scope in scopes {
                    view.tombstones.forget(scope, cutoff);
                }
            }
            is_current
        })
    }

    fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// Makes one change, which whoever looks from then on sees as a whole.
    fn change<T>(&self, by: impl FnOnce(&mut View) -> T) -> T {
        let _alone = self.changing();
        let mut view = View::clone(&self.view());
        let outcome = by(&mut view);
        self.view.store(Arc::new(view));
        outcome
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        // Whoever panicked here was the stream's task, and has changed nothing; without it the view soon counts as stale.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moment(wall: Timestamp) -> Moment {
    Moment { instant: Instant::now(), wall }
}

#[cfg(test)]
mod tests;

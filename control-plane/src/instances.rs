//! The authz instances that are connected, and how far each has applied the revocation log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_proto::ids::{InstanceName, Sequence};
use portcullis_proto::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

/// Instances that are remembered after they have gone, at most.
const MAX_DEPARTED: usize = 10_000;

/// All instances with an open Watch stream.
#[derive(Debug)]
pub struct Instances {
    connected: Mutex<Connected>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Connected {
    next: u64,
    by_stream: BTreeMap<u64, Instance>,
    /// Those whose last stream has ended, and until when they may still decide by what they had heard.
    departed: BTreeMap<InstanceName, Instant>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What it calls itself.
    pub name: InstanceName,
    /// The last entry that is durable there and in force.
    pub applied: Sequence,
    /// When its stream was opened.
    pub connected_at: Timestamp,
    /// How long it may go on deciding without word from here.
    pub lingers: Duration,
}

/// An open stream. The instance is forgotten when this is dropped.
#[derive(Debug)]
pub struct Membership<'a> {
    instances: &'a Instances,
    stream: u64,
}

/// Who may have been deciding at some moment.
#[derive(Clone, Debug)]
pub struct Audience(BTreeSet<InstanceName>);

/// How far a revocation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Instances that have applied it.
    pub applied: usize,
    /// Those that have not, whether they are still connected or not.
    pub lagging: Vec<InstanceName>,
    /// How long it took, or how long was waited.
    pub elapsed: Duration,
}

// === impl Instances ===

impl Default for Instances {
    fn default() -> Self {
        Self { connected: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Instances {
    /// Adds an instance that has applied everything up to `applied`. For `lingers` after its stream has ended it may
    /// go on deciding.
    pub fn join(
        &self,
        name: InstanceName,
        applied: Sequence,
        lingers: Duration,
        now: Timestamp,
    ) -> Membership<'_> {
        let mut connected = self.lock();
        let stream = connected.next;
        connected.next += 1;
        connected.departed.remove(&name);
        connected.by_stream.insert(stream, Instance { name, applied, connected_at: now, lingers });
        Membership { instances: self, stream }
    }

    /// Everyone who is connected.
    pub fn list(&self) -> Vec<Instance> {
        self.lock().by_stream.values().cloned().collect()
    }

    /// Who is connected, or was a short while ago and may still decide; to be asked for before a revocation is
    /// appended.
    pub fn audience(&self) -> Audience {
        let mut connected = self.lock();
        let now = Instant::now();
        connected.departed.retain(|_, until| now < *until);
        let names = connected.by_stream.values().map(|instance| &instance.name);
        Audience(names.chain(connected.departed.keys()).cloned().collect())
    }

    /// Waits until everyone in the audience, and everyone who has connected since, has applied `entry`, or the
    /// time is up. One that is not connected lags: it may still be answering from what it knows.
    pub async fn reached(&self, entry: Sequence, audience: Audience, patience: Duration) -> Reached {
        let began = Instant::now();
        let mut changed = self.changed.subscribe();
        let Audience(mut expected) = audience;
        expected.extend(self.audience().0);
        let lagging = || self.lock().lagging(entry, &expected);
        let all = async {
            // Each that applies the entry wakes this up: so only one of those that lag is looked for at a time.
            while let Some(one) = lagging().pop() {
                while !self.lock().has_applied(entry, &one) {
                    // The sender is in `self`, so it cannot have gone.
                    if changed.changed().await.is_err() {
                        return;
                    }
                }
            }
        };
        // Whether it was in time shows in who lags.
        let _ = tokio::time::timeout(patience, all).await;
        let lagging = lagging();
        Reached { applied: expected.len() - lagging.len(), lagging, elapsed: began.elapsed() }
    }

    fn lock(&self) -> MutexGuard<'_, Connected> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Connected ===

impl Connected {
    /// Those of `expected` that are not connected, or have a stream on which `entry` is not acknowledged.
    fn lagging(&self, entry: Sequence, expected: &BTreeSet<InstanceName>) -> Vec<InstanceName> {
        let mut applied = BTreeMap::new();
        for instance in self.by_stream.values() {
            let least = applied.entry(&instance.name).or_insert(instance.applied);
            *least = instance.applied.min(*least);
        }
        let has_applied = |name: &InstanceName| applied.get(name).is_some_and(|applied| *applied >= entry);
        expected.iter().filter(|name| !has_applied(name)).cloned().collect()
    }

    /// Whether one instance does not lag.
    fn has_applied(&self, entry: Sequence, name: &InstanceName) -> bool {
        let mut own = self.by_stream.values().filter(|instance| instance.name == *name).peekable();
        own.peek().is_some() && own.all(|instance| instance.applied >= entry)
    }
}

// === impl Membership ===

impl Membership<'_> {
    /// Notes that everything up to `applied` is durable there and in force.
    pub fn applied(&self, applied: Sequence) {
        if let Some(instance) = self.instances.lock().by_stream.get_mut(&self.stream) {
            instance.applied = instance.applied.max(applied);
        }
        self.instances.changed.send_replace(());
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let mut connected = self.instances.lock();
        if let Some(Instance { name, lingers, .. }) = connected.by_stream.remove(&self.stream)
            && connected.by_stream.values().all(|instance| instance.name != name)
            && (connected.departed.contains_key(&name) || connected.departed.len() < MAX_DEPARTED)
        {
            connected.departed.insert(name, Instant::now() + lingers);
        }
        drop(connected);
        self.instances.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGERS: Duration = Duration::from_mins(1);

    fn name(text: &str) -> InstanceName {
        InstanceName::new(text)
    }

    #[tokio::test(start_paused = true)]
    async fn a_revocation_has_reached_all_when_all_have_applied_it() {
        let instances = Instances::default();
        let one = instances.join(name("one"), Sequence(4), LINGERS, Timestamp::default());
        let two = instances.join(name("two"), Sequence(5), LINGERS, Timestamp::default());
        let (reached, ()) = tokio::join!(
            instances.reached(Sequence(5), instances.audience(), Duration::from_secs(2)),
            async {
                tokio::time::sleep(Duration::from_millis(12)).await;
                one.applied(Sequence(5));
            }
        );
        assert_eq!((reached.applied, reached.lagging), (2, vec![]));
        assert_eq!(reached.elapsed, Duration::from_millis(12));
        drop((one, two));
        assert!(instances.list().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_lags_or_disconnects_is_named() {
        let instances = Instances::default();
        let _slow = instances.join(name("slow"), Sequence(4), LINGERS, Timestamp::default());
        let gone = instances.join(name("gone"), Sequence(4), LINGERS, Timestamp::default());
        let audience = instances.audience();
        drop(gone);
        let reached = instances.reached(Sequence(5), audience, Duration::from_secs(2)).await;
        assert_eq!((reached.applied, reached.lagging), (0, vec![name("gone"), name("slow")]));
        assert_eq!(reached.elapsed, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn t20_whoever_has_left_lags_until_it_is_back_or_cannot_decide_any_more() {
        let instances = Instances::default();
        let lagging = async || {
            let audience = instances.audience();
            instances.reached(Sequence(5), audience, Duration::from_secs(1)).await.lagging
        };
        drop(instances.join(name("back"), Sequence(4), LINGERS, Timestamp::default()));
        drop(instances.join(name("gone"), Sequence(4), LINGERS, Timestamp::default()));
        assert_eq!(lagging().await, [name("back"), name("gone")]);
        let back = instances.join(name("back"), Sequence(5), LINGERS, Timestamp::default());
        assert_eq!(lagging().await, [name("gone")]);
        tokio::time::advance(LINGERS).await;
        assert!(lagging().await.is_empty());
        // An old stream of an instance that is back is no reason to name it for good.
        let ghost = instances.join(name("back"), Sequence(4), LINGERS, Timestamp::default());
        assert_eq!(lagging().await, [name("back")]);
        drop(ghost);
        assert!(lagging().await.is_empty());
        drop(back);
        assert_eq!(lagging().await, [name("back")]);
    }

    #[tokio::test]
    async fn without_instances_there_is_nothing_to_wait_for() {
        let instances = Instances::default();
        let reached = instances.reached(Sequence(5), instances.audience(), Duration::from_secs(2)).await;
        assert_eq!((reached.applied, reached.lagging), (0, vec![]));
    }
}

//! The authz instances that are connected, and how far each has applied the revocation log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_proto::ids::{InstanceName, Sequence};
use portcullis_proto::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

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
}

/// An open stream. The instance is forgotten when this is dropped.
#[derive(Debug)]
pub struct Membership<'a> {
    instances: &'a Instances,
    stream: u64,
}

/// Who was connected at some moment.
#[derive(Clone, Debug)]
pub struct Audience(BTreeMap<u64, InstanceName>);

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
    /// Adds an instance that has applied everything up to `applied`.
    pub fn join(&self, name: InstanceName, applied: Sequence, now: Timestamp) -> Membership<'_> {
        let mut connected = self.lock();
        let stream = connected.next;
        connected.next += 1;
        connected.by_stream.insert(stream, Instance { name, applied, connected_at: now });
        Membership { instances: self, stream }
    }

    /// Everyone who is connected.
    pub fn list(&self) -> Vec<Instance> {
        self.lock().by_stream.values().cloned().collect()
    }

    /// Who is connected, to be asked for before a revocation is appended.
    pub fn audience(&self) -> Audience {
        let named = |(&stream, instance): (&u64, &Instance)| (stream, instance.name.clone());
        Audience(self.lock().by_stream.iter().map(named).collect())
    }

    /// Waits until everyone in the audience, and everyone who has connected since, has applied `entry`, or the
    /// time is up. One that disconnects meanwhile lags: it may still be answering from what it knows.
    pub async fn reached(&self, entry: Sequence, audience: Audience, patience: Duration) -> Reached {
        let began = Instant::now();
        let mut changed = self.changed.subscribe();
        let Audience(mut expected) = audience;
        expected.extend(self.audience().0);
        let lagging = || {
            let connected = self.lock();
            let has_applied = |stream: &u64| {
                connected.by_stream.get(stream).is_some_and(|instance| instance.applied >= entry)
            };
            expected
                .iter()
                .filter(|(stream, _)| !has_applied(stream))
                .map(|(_, name)| name.clone())
                .collect::<Vec<_>>()
        };
        let all = async {
            while !lagging().is_empty() {
                // The sender is in `self`, so it cannot have gone.
                if changed.changed().await.is_err() {
                    break;
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
        self.instances.lock().by_stream.remove(&self.stream);
        self.instances.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InstanceName {
        InstanceName::new(text)
    }

    #[tokio::test(start_paused = true)]
    async fn a_revocation_has_reached_all_when_all_have_applied_it() {
        let instances = Instances::default();
        let one = instances.join(name("one"), Sequence(4), Timestamp::default());
        let two = instances.join(name("two"), Sequence(5), Timestamp::default());
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
        let _slow = instances.join(name("slow"), Sequence(4), Timestamp::default());
        let gone = instances.join(name("gone"), Sequence(4), Timestamp::default());
        let audience = instances.audience();
        drop(gone);
        let reached = instances.reached(Sequence(5), audience, Duration::from_secs(2)).await;
        assert_eq!((reached.applied, reached.lagging), (0, vec![name("slow"), name("gone")]));
        assert_eq!(reached.elapsed, Duration::from_secs(2));
    }

    #[tokio::test]
    async fn without_instances_there_is_nothing_to_wait_for() {
        let instances = Instances::default();
        let reached = instances.reached(Sequence(5), instances.audience(), Duration::from_secs(2)).await;
        assert_eq!((reached.applied, reached.lagging), (0, vec![]));
    }
}

//! A control plane and its instances, and the time that they live in.
//!
//! Tokio's clock is paused, and an idle runtime does not move it either: that is what the anchor is for, a
//! blocking task that waits for the end. The stores' threads know nothing of that clock. So time moves in small
//! steps, and before each of them everything that can still move has: no task runs, no byte is on its way
//! that nothing holds back, and nothing waits for a disk. What is measured in this time is thus the protocol's
//! own doing, on a busy machine as on an idle one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_proto::time::{Clock, ManualClock, Timestamp};
use portcullis_proto::v1;
use portcullis_proto::v1::admin_client::AdminClient;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::dice::Dice;
use crate::edge::Edge;
use crate::plane::Plane;
use crate::wire::Wire;

/// How far time moves at once. What happens in between happens at the end of a step.
pub(crate) const STEP: Duration = Duration::from_millis(50);
/// Longer than any chain of tasks that wake one another without a byte or a write.
const TURNS: usize = 64;
/// How long a disk may take, in the machine's time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the disks are given between two looks, in the machine's time.
const PAUSE: Duration = Duration::from_micros(100);

pub(crate) struct Fleet {
    pub(crate) plane: Plane,
    pub(crate) edges: Vec<Edge>,
    pub(crate) began: Instant,
    admin: AdminClient<Channel>,
    clock: Arc<ManualClock>,
    traffic: Arc<AtomicU64>,
    _anchor: std::sync::mpsc::Sender<()>,
}

/// A revocation that is waited for.
pub(crate) type Revocation = JoinHandle<Result<v1::RevokeResponse, Status>>;

// === impl Fleet ===

impl Fleet {
    /// So many instances, connected and ready. Needs a paused runtime of one thread.
    pub(crate) async fn start(instances: usize, seed: u64) -> Self {
        let (anchor, end) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || end.recv().is_ok());
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let traffic = Arc::<AtomicU64>::default();
        let plane = Plane::start(&clock);
        let wire = || Wire::new(plane.connections.clone(), traffic.clone());
        let admin = AdminClient::new(wire().channel(&Endpoint::from_static("http://control-plane:8081")));
        // One's own dice for each: they take turns in no fixed order.
        let dice = |number: usize| Arc::new(Dice::new((seed << 8) + number as u64 + 1));
        let edge = |number| Edge::start(format!("edge-{number}"), wire(), &clock, dice(number));
        let edges = (0..instances).map(edge).collect();
        let began = Instant::now();
        let fleet = Self { plane, edges, began, admin, clock, traffic, _anchor: anchor };
        fleet.run(Duration::from_secs(1)).await;
        assert!(fleet.edges.iter().all(|edge| edge.replica.ready(fleet.clock.now()).is_ok()));
        fleet
    }

    /// Lets time pass.
    pub(crate) async fn run(&self, time: Duration) {
        let until = Instant::now() + time;
        self.settle().await;
        while Instant::now() < until {
            self.step().await;
        }
    }

    /// Lets a moment pass after one at which nothing more happens.
    pub(crate) async fn step(&self) {
        tokio::time::advance(STEP).await;
        self.clock.advance(STEP);
        self.settle().await;
    }

    /// Waits, in the machine's time, until nothing more happens at this moment.
    pub(crate) async fn settle(&self) {
        let began = std::time::Instant::now();
        loop {
            for edge in &self.edges {
                edge.hear_of_writes().await;
            }
            let (traffic, was_quiet) = (self.traffic.load(Ordering::Relaxed), self.is_quiet());
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            if was_quiet && self.is_quiet() && self.traffic.load(Ordering::Relaxed) == traffic {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it does not come to rest");
            if !self.is_quiet() {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.edges.iter().all(Edge::is_quiet)
    }

    /// Asks for a revocation, and comes back when it is in the log, or refused.
    pub(crate) async fn revoke(&self, scope: v1::Scope, wait: Duration) -> Revocation {
        let head = self.plane.head();
        let request =
            v1::RevokeRequest { scope: Some(scope), wait_ms: u32::try_from(wait.as_millis()).unwrap() };
        let mut admin = self.admin.clone();
        let revocation = tokio::spawn(async move { Ok(admin.revoke(request).await?.into_inner()) });
        let began = std::time::Instant::now();
        while self.plane.head() == head && !revocation.is_finished() {
            tokio::task::yield_now().await;
            std::thread::sleep(PAUSE);
            assert!(began.elapsed() < PATIENCE, "nothing is appended");
        }
        // A write that changes nothing, behind the one that has just shown: now everybody has been told of that.
        self.plane.app.store.sweep(Timestamp::default(), 0).await.unwrap();
        self.settle().await;
        revocation
    }

    /// What becomes of a task, in the time that it takes.
    pub(crate) async fn outcome<T>(&self, task: JoinHandle<T>) -> T {
        self.settle().await;
        while !task.is_finished() {
            self.step().await;
        }
        task.await.unwrap()
    }
}

//! The fault suite: a whole Portcullis under load, while its parts are killed, stopped and cut off from each
//! other, and a memory of everything that was acknowledged.
//!
//! A round ([`round`]) is load ([`load`]), faults at random moments ([`schedule`]), recovery, and a comparison of
//! everything that the [`model`] remembers with what there is ([`settle`]). What the model finds wrong is a
//! [`Verdict`]: something that was acknowledged is lost, something that was revoked is accepted, or
//! a part does not recover.
//!
//! Below the programs, the [`shim`] cuts power and moves clocks, and a [`small_disk`] is soon full.

#![expect(clippy::expect_used, reason = "a suite that cannot go on fails, and says why")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

mod deeds;
pub mod dice;
pub mod disk;
mod fault;
mod figures;
pub mod image;
pub mod journal;
mod load;
mod model;
mod round;
mod schedule;
mod settle;
pub mod shim;
mod site;
pub mod small_disk;
mod wire;

use dice::Dice;
pub use figures::Figures;
pub use model::{Kind, Verdict};
use model::{Model, Promises};
pub use round::Round;
use site::Site;
use wire::Wire;

use crate::stack::{Addresses, Stack};

const INSTANCES: usize = 2;
/// The least is 2 s; heartbeats come each second.
const MAX_STALENESS: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_mins(10);
/// The farthest that a clock is from the true time, in either direction. It is far less than every lifetime: a clock
/// that is farther off does end sessions, and rightly.
const LONGEST_JUMP: Duration = Duration::from_mins(2);
/// The farthest that two clocks are from each other.
const BETWEEN_CLOCKS: Duration = LONGEST_JUMP.saturating_mul(2);
/// The slowest wire, in each direction.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// The suite: its system, and what it knows.
#[derive(Debug)]
pub struct Suite {
    stack: Stack,
    wires: Vec<Wire>,
    site: Arc<Site>,
    dice: Dice,
}

// === impl Suite ===

impl Suite {
    /// Starts the system. The same seed has the same faults at the same moments.
    pub async fn start(seed: u64) -> Self {
        let addresses = Addresses::free(INSTANCES);
        let mut wires = Vec::new();
        for _ in 0..INSTANCES {
            wires.push(Wire::to(addresses.grpc).await.expect("a wire"));
        }
        let ends: Vec<_> = wires.iter().map(|wire| format!("http://{}", wire.address())).collect();
        let builder = Stack::builder().faults().addresses(addresses).configure(|config, _| {
            // Repetitions are as late as recoveries take; and in a long run access tokens do expire.
            config["lifetimes"] = json!({ "access_token": "11m", "refresh_grace": "10m", "code": "5m" });
        });
        let builder = builder.configure_authz(move |instance, settings| {
            settings["control_plane"] = json!(ends[instance]);
            settings["max_staleness"] = json!(format!("{}s", MAX_STALENESS.as_secs()));
        });
        let stack = builder.start().await;
        // What one clock says lasts for so long may last shorter by another.
        let grace = GRACE.saturating_sub(BETWEEN_CLOCKS);
        let promises = Promises { reach: MAX_STALENESS, grace, early: BETWEEN_CLOCKS };
        let site = Arc::new(Site::new(&stack, Model::new(promises, Instant::now())).await);
        Self { stack, wires, site, dice: Dice::new(seed) }
    }

    /// All promises that were not kept so far.
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.site.model().verdicts().to_vec()
    }

    /// What has been done so far.
    pub fn figures(&self) -> Figures {
        self.site.figures().clone()
    }

    /// Leaves the directory with configuration, data and logs.
    pub fn keep(&mut self) -> PathBuf {
        self.stack.keep()
    }
}

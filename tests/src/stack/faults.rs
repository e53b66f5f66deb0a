//! Power cuts and clocks that jump, for a stack that was built with [`Builder::faults`](super::Builder::faults),
//! and disks that are full, for one with [`Builder::small_disk`](super::Builder::small_disk).

use std::path::PathBuf;

use super::{Part, Stack};
use crate::faults::shim::Shim;
use crate::faults::small_disk::SmallDisk;

// === impl Stack ===

impl Stack {
    /// Cuts the power of the control plane or an authz instance alone: SIGKILL, and then its directories are put
    /// back to what the seed says that a disk might hold. [`Self::start`] starts it again.
    pub async fn power_cut(&mut self, part: Part, seed: u64) {
        self.kill(part).await;
        let shim = self.shims.get_mut(&part).expect("a part with a shim");
        shim.power_cut(seed).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sets the wall clock of the control plane or an authz instance this many milliseconds ahead of the
    /// machine's (behind, where negative), at once, while it runs.
    pub fn set_clock(&self, part: Part, ahead: i64) {
        self.shim(part).set_clock(ahead).expect("the clock's file");
    }

    /// The shim of the control plane or an authz instance.
    pub fn shim(&self, part: Part) -> &Shim {
        self.shims.get(&part).expect("a part with a shim")
    }

    /// The disk that was asked for.
    pub fn small_disk(&self) -> &SmallDisk {
        self.small_disk.as_ref().expect("built with a small disk")
    }

    pub(super) async fn add_small_disk(&mut self, part: Part, bytes: u64) {
        let state = self.parts.get_mut(&part).expect("a part of this stack");
        let directory = self.directory.path().join("data").join(&state.program.name);
        let disk = SmallDisk::mount(&directory, bytes).await;
        disk.put_under(&mut state.program);
        self.small_disk = Some(disk);
    }

    pub(super) fn add_shims(&mut self) {
        let directory = self.directory().canonicalize().expect("the stack's directory");
        for (part, state) in &mut self.parts {
            let data = |name: &str| directory.join("data").join(name);
            let watched: Vec<PathBuf> = match part {
                Part::ControlPlane => vec![data("control-plane"), data("keys")],
                Part::Authz(_) => vec![data(&state.program.name)],
                Part::Provider | Part::McpServer | Part::Edge => continue,
            };
            let home = directory.join("faults").join(&state.program.name);
            let shim = Shim::watch(&home, &watched).unwrap_or_else(|error| panic!("{error}"));
            state.program.environment.extend(shim.environment());
            if *part == Part::ControlPlane {
                // Its clock is set back on purpose, also while it does not run: it would not start by itself.
                state.program.arguments.push("--accept-clock".to_owned());
            }
            self.shims.insert(*part, shim);
        }
    }
}

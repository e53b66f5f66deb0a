//! Power cuts, and clocks that jump, for a stack that was built with [`Builder::faults`](super::Builder::faults).

use std::path::PathBuf;

use super::{Part, Stack};
use crate::faults::shim::Shim;

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
            self.shims.insert(*part, shim);
        }
    }
}

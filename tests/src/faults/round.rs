//! One round.

use std::fmt;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until};

use super::fault::Fault;
use super::load::{Load, revoke_in_every_way};
use super::model::Kind;
use super::schedule::{Planned, Step, schedule, timeline};
use super::settle::settle;
use super::wire::Condition;
use super::{INSTANCES, Suite};
use crate::stack::Part;

/// Load goes on for so long at least.
const LEAST: Duration = Duration::from_secs(3);
/// What there was in a round.
#[derive(Clone, Debug)]
pub struct Round {
    /// Its faults, in order of their beginning.
    pub faults: Vec<Planned>,
    /// Operations of all kinds.
    pub operations: u64,
    /// How many of them had no answer that says anything.
    pub unanswered: u64,
    /// Until everything was compared.
    pub took: Duration,
}

// === impl Suite ===

impl Suite {
    /// One round. Verdicts show in [`Suite::verdicts`].
    pub async fn round(&mut self) -> Round {
        let before = self.figures();
        let mut faults = schedule(&mut self.dice.fork(), before.rounds, INSTANCES);
        faults.sort_by_key(|planned| planned.from);
        let load = Load::start(&self.site, &mut self.dice);
        let began = Instant::now();
        for (at, step) in timeline(&faults) {
            sleep_until(began + at).await;
            self.apply(step).await;
        }
        self.recover().await;
        revoke_in_every_way(&self.site, &mut self.dice.fork()).await;
        sleep_until(began + LEAST).await;
        load.stop().await;
        if self.site.model().verdicts().is_empty() {
            settle(&self.site, &mut self.dice.fork()).await;
        }
        self.site.figures().rounds += 1;
        let after = self.figures();
        Round {
            faults,
            operations: after.operations() - before.operations(),
            unanswered: after.unanswered() - before.unanswered(),
            took: began.elapsed(),
        }
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Begin(fault) => {
                self.site.figures().fault(fault.kind());
                self.begin(fault).await;
            }
            Step::End(fault) => self.end(fault).await,
        }
    }

    async fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(part) => self.stack.kill(part).await,
            Fault::PowerCut(part, seed) => self.stack.power_cut(part, seed).await,
            Fault::Restart(part) => self.stack.signal(part, Signal::TERM),
            Fault::Clock(part, ahead) => self.stack.set_clock(part, ahead),
            Fault::Freeze(part) => self.stack.signal(part, Signal::STOP),
            Fault::Wire(wire, condition) => self.wires[wire].set(condition),
        }
    }

    async fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(part) | Fault::PowerCut(part, _) => self.stack.launch(part),
            Fault::Clock(part, _) => self.stack.set_clock(part, 0),
            Fault::Restart(part) => {
                self.stack.kill(part).await;
                self.stack.launch(part);
            }
            Fault::Freeze(part) => self.stack.signal(part, Signal::CONT),
            Fault::Wire(wire, _) => self.wires[wire].set(Condition::Whole),
        }
    }

    /// Waits until every part is ready.
    async fn recover(&mut self) {
        for part in [Part::ControlPlane].into_iter().chain((0..INSTANCES).map(Part::Authz)) {
            if let Err(error) = self.stack.ready(part).await {
                self.site.model().judge(Kind::Stuck, error.to_string());
            }
        }
    }
}

// === impl Round ===

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5.1} s, {:>4} operations, {:>3} unanswered",
            self.took.as_secs_f64(),
            self.operations,
            self.unanswered
        )?;
        for Planned { fault, from, until } in &self.faults {
            write!(f, "; {:.1}-{:.1} s {fault}", from.as_secs_f64(), until.as_secs_f64())?;
        }
        Ok(())
    }
}

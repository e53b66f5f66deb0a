//! What can go wrong.

use std::fmt;

use super::wire::Condition;
use crate::stack::Part;

/// Something that goes wrong, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and later a new start.
    Kill(Part),
    /// The power goes, and later a new start: what was not synced is lost, as the number has it.
    PowerCut(Part, u64),
    /// SIGTERM, SIGKILL where the part is still there at the end, and a new start.
    Restart(Part),
    /// SIGSTOP, and later SIGCONT.
    Freeze(Part),
    /// A wall clock that is so many milliseconds ahead, or behind where negative.
    Clock(Part, i64),
    /// The wire between one authz instance and the control plane.
    Wire(usize, Condition),
}

/// What a fault befalls. One at a time befalls each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// A process.
    Part(Part),
    /// The wall clock of a process.
    Clock(Part),
    /// The wire of one authz instance.
    Wire(usize),
}

// === impl Fault ===

impl Fault {
    /// What it befalls.
    pub fn victim(self) -> Victim {
        match self {
            Self::Kill(part) | Self::PowerCut(part, _) | Self::Restart(part) | Self::Freeze(part) => {
                Victim::Part(part)
            }
            Self::Clock(part, _) => Victim::Clock(part),
            Self::Wire(wire, _) => Victim::Wire(wire),
        }
    }

    /// Its kind, for figures.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Kill(Part::ControlPlane) => "kill -9 control plane",
            Self::Kill(_) => "kill -9 authz",
            Self::PowerCut(Part::ControlPlane, _) => "power cut control plane",
            Self::PowerCut(..) => "power cut authz",
            Self::Restart(Part::ControlPlane) => "restart control plane",
            Self::Restart(_) => "restart authz",
            Self::Freeze(Part::ControlPlane) => "freeze control plane",
            Self::Freeze(_) => "freeze authz",
            Self::Clock(Part::ControlPlane, _) => "clock control plane",
            Self::Clock(..) => "clock authz",
            Self::Wire(_, Condition::Cut) => "cut wire",
            Self::Wire(_, Condition::Slow(_)) => "slow wire",
            Self::Wire(_, Condition::HalfOpen { .. }) => "half-open wire",
            Self::Wire(_, Condition::Whole) => "whole wire",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(part) => write!(f, "kill -9 {part:?}"),
            Self::PowerCut(part, _) => write!(f, "power cut {part:?}"),
            Self::Clock(part, ahead) => write!(f, "clock {part:?} {ahead:+} ms"),
            Self::Restart(part) => write!(f, "restart {part:?}"),
            Self::Freeze(part) => write!(f, "freeze {part:?}"),
            Self::Wire(wire, condition) => write!(f, "wire {wire} {condition:?}"),
        }
    }
}

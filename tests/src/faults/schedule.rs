//! Which faults a round has, and when: drawn, so that the same seed gives the same schedule.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use super::dice::Dice;
use super::fault::{Fault, Victim};
use super::wire::Condition;
use crate::stack::Part;

/// Faults begin in the first part of a round, so that all have ended within [`LAST`].
const BEGIN: Range<Duration> = Duration::from_millis(200)..Duration::from_millis(3500);
/// The longest a fault lasts: longer than authz listens to a silent stream (5 s).
const LAST: Duration = Duration::from_millis(6500);

/// A fault with its time, from the round's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub fault: Fault,
    /// When it begins.
    pub from: Duration,
    /// When it ends.
    pub until: Duration,
}

/// What is to be done at some moment of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The fault begins.
    Begin(Fault),
    /// It ends.
    End(Fault),
}

/// The faults of one round, with this many authz instances: one `kill -9` at least, in turn of the control plane and of an
/// instance, and others on other victims at the same time, or one after the other.
pub(super) fn schedule(dice: &mut Dice, round: u64, instances: usize) -> Vec<Planned> {
    let parts = [Part::ControlPlane].into_iter().chain((0..instances).map(Part::Authz));
    let parts: Vec<_> = parts.collect();
    let wires = (0..instances).map(Victim::Wire);
    // The control plane as often as all instances together: it has what can be lost. In turn, so that a short run has both.
    let killed = if round.is_multiple_of(2) {
        Some(Part::ControlPlane)
    } else {
        dice.pick(parts[1..].iter().copied())
    };
    let mut chosen: BTreeSet<_> = killed.map(Victim::Part).into_iter().collect();
    for _ in 0..=dice.below(4) {
        let victims =
            parts.iter().flat_map(|part| [Victim::Part(*part), Victim::Part(*part), Victim::Clock(*part)]);
        chosen.extend(dice.pick(victims.chain(wires.clone())));
    }
    if dice.one_in(4) {
        // All wires, as when the control plane's own network goes.
        chosen.extend(wires);
    }
    let mut planned: Vec<Planned> = Vec::new();
    let mut kill = killed.map(Fault::Kill);
    for victim in chosen {
        let mut from = dice.within(BEGIN);
        while from < BEGIN.end {
            let fault = kill.take_if(|kill| kill.victim() == victim).unwrap_or_else(|| fault(dice, victim));
            let until = from + dice.within(duration(fault));
            planned.push(Planned { fault, from, until });
            // Once more, as soon as it has ended: in the middle of a recovery.
            let again = if dice.one_in(3) { dice.within(Duration::ZERO..BEGIN.end) } else { BEGIN.end };
            from = until + again;
        }
    }
    planned
}

/// All that is to be done, in order.
pub(super) fn timeline(planned: &[Planned]) -> Vec<(Duration, Step)> {
    let begin = planned.iter().map(|planned| (planned.from, Step::Begin(planned.fault)));
    let end = planned.iter().map(|planned| (planned.until, Step::End(planned.fault)));
    let mut steps: Vec<_> = begin.chain(end).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps
}

fn fault(dice: &mut Dice, victim: Victim) -> Fault {
    match victim {
        Victim::Part(part) => match dice.below(6) {
            0 => Fault::Restart(part),
            1 => Fault::Freeze(part),
            2..=4 => Fault::PowerCut(part, dice.draw()),
            _ => Fault::Kill(part),
        },
        Victim::Clock(part) => {
            let ahead = dice.within(Duration::from_secs(1)..super::LONGEST_JUMP);
            let ahead = i64::try_from(ahead.as_millis()).unwrap_or_default();
            Fault::Clock(part, if dice.one_in(2) { ahead } else { -ahead })
        }
        Victim::Wire(wire) => {
            let condition = match dice.below(4) {
                0 => Condition::Slow(dice.within(Duration::from_millis(20)..super::LONGEST_DELAY)),
                1 => Condition::HalfOpen { both: true },
                2 => Condition::HalfOpen { both: false },
                _ => Condition::Cut,
            };
            Fault::Wire(wire, condition)
        }
    }
}

fn duration(fault: Fault) -> Range<Duration> {
    let (shortest, longest) = match fault {
        Fault::Restart(_) => (10, 2000),
        Fault::Kill(_) | Fault::PowerCut(..) => (10, 2500),
        Fault::Freeze(_) => (200, 4000),
        Fault::Wire(_, Condition::HalfOpen { .. }) => (1000, 6500),
        Fault::Clock(..) | Fault::Wire(..) => (100, 4500),
    };
    Duration::from_millis(shortest)..Duration::from_millis(longest).min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_another() {
        let of = |seed| schedule(&mut Dice::new(seed), 0, 2);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_victim_has_one_fault_at_a_time_and_every_kind_comes_up() {
        let mut kinds = BTreeSet::new();
        for seed in 0..1000 {
            let mut planned = schedule(&mut Dice::new(seed), seed, 2);
            let killed = ["kill -9 control plane", "kill -9 authz"][usize::from(seed % 2 == 1)];
            assert!(planned.iter().any(|planned| planned.fault.kind() == killed), "{planned:?}");
            planned.sort_by_key(|planned| (planned.fault.victim(), planned.from));
            for pair in planned.windows(2) {
                let same = pair[0].fault.victim() == pair[1].fault.victim();
                assert!(!same || pair[0].until <= pair[1].from, "{planned:?}");
            }
            kinds.extend(planned.iter().map(|planned| planned.fault.kind()));
        }
        assert_eq!(kinds.len(), 13, "{kinds:?}");
    }

    #[test]
    fn what_begins_ends() {
        let planned = schedule(&mut Dice::new(3), 0, 2);
        let steps = timeline(&planned);
        assert_eq!(steps.len(), planned.len() * 2);
        assert!(steps.is_sorted_by_key(|(at, _)| *at));
    }
}

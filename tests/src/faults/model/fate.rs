//! What is known of the end of a token or a session.

use std::time::Duration;

use tokio::time::Instant;

/// Whether something has been revoked, as far as anybody has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    attempted: bool,
    durable: Option<Instant>,
    effective: Option<Instant>,
}

/// What an answer to a revocation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// It is durable; instances learn it by push.
    Durable,
    /// It is in force on all instances.
    Effective,
}

// === impl Fate ===

impl Fate {
    /// A revocation has been asked for. Until its answer, and for good where that is lost, both outcomes are
    /// right.
    pub(super) fn attempt(&mut self) {
        self.attempted = true;
    }

    /// The answer. The first of several counts.
    pub(super) fn acknowledge(&mut self, answer: Acknowledged, now: Instant) {
        self.attempted = true;
        self.durable.get_or_insert(now);
        if answer == Acknowledged::Effective {
            self.effective.get_or_insert(now);
        }
    }

    /// Nobody has tried to revoke it: it lives.
    pub(super) fn is_untouched(self) -> bool {
        !self.attempted
    }

    /// It may be alive or dead.
    pub(super) fn is_unsure(self) -> bool {
        self.attempted && self.durable.is_none()
    }

    /// It is dead in the control plane.
    pub(super) fn is_dead(self) -> bool {
        self.durable.is_some()
    }

    /// Whether the control plane, which has no excuse, must refuse what began at `began`.
    pub(super) fn dead_by(self, began: Instant) -> bool {
        self.durable.is_some_and(|at| at <= began)
    }

    /// Whether every instance must refuse what began at `began`.
    ///
    /// An instance that was cut off may go on for `reach` after the revocation became durable: that is what
    /// `max_staleness` promises, and no more. Where the answer said "effective", none may.
    pub(super) fn refused_by(self, began: Instant, reach: Duration) -> bool {
        self.effective.is_some_and(|at| at <= began) || self.durable.is_some_and(|at| at + reach <= began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Duration = Duration::from_secs(5);

    #[test]
    fn a_durable_revocation_reaches_every_instance_in_time_and_an_effective_one_at_once() {
        let now = Instant::now();
        let (mut durable, mut effective) = (Fate::default(), Fate::default());
        durable.acknowledge(Acknowledged::Durable, now);
        effective.acknowledge(Acknowledged::Effective, now);
        assert!(durable.dead_by(now) && !durable.refused_by(now, REACH));
        assert!(durable.refused_by(now + REACH, REACH));
        assert!(effective.refused_by(now, REACH));
    }

    #[test]
    fn what_was_answered_first_counts() {
        let now = Instant::now();
        let mut fate = Fate::default();
        fate.acknowledge(Acknowledged::Durable, now);
        fate.acknowledge(Acknowledged::Effective, now + REACH / 2);
        assert!(fate.dead_by(now) && fate.refused_by(now + REACH / 2, REACH));
        assert!(!fate.refused_by(now + REACH / 4, REACH));
    }

    #[test]
    fn an_unanswered_revocation_leaves_both_open() {
        let mut fate = Fate::default();
        assert!(fate.is_untouched() && !fate.is_unsure());
        fate.attempt();
        let later = Instant::now() + REACH * 100;
        assert!(
            fate.is_unsure()
                && !fate.is_untouched()
                && !fate.dead_by(later)
                && !fate.refused_by(later, REACH)
        );
    }
}

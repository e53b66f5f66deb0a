//! Whether a provider is to be asked anything: the rule.

use std::time::Duration;

use portcullis_proto::time::Timestamp;

/// The longest pause, also where the provider asks for more: credentials expire meanwhile.
pub(super) const LONGEST: Duration = Duration::from_mins(5);

/// What is known of a provider from the calls to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers, as far as is known.
    #[default]
    Well,
    /// It has failed so many times in a row, and is left alone until then; then one call finds out.
    Paused { failures: u32, until: Timestamp },
    /// That one call is under way.
    Probing { failures: u32 },
}

/// What a call that was let through is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// For its own sake.
    Ordinary,
    /// Also to find out whether the provider answers again: no other is let through meanwhile.
    Probe,
}

/// How a call ended, as far as the provider's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The provider answered, whatever it said.
    Answered,
    /// It did not. It may have named how long it wants to be left alone.
    Failed { retry_after: Option<Duration> },
    /// It was not asked after all.
    Unasked,
}

// === impl Health ===

impl Health {
    /// Whether a call may be made at `now`, what it is for, and what is known from then on.
    pub(super) fn admit(self, now: Timestamp) -> Option<(Self, Call)> {
        match self {
            Self::Well => Some((self, Call::Ordinary)),
            // A pause that seems longer than any was begun before the clock was set back.
            Self::Paused { failures, until } if until <= now || until.since(now) > LONGEST => {
                Some((Self::Probing { failures }, Call::Probe))
            }
            Self::Paused { .. } | Self::Probing { .. } => None,
        }
    }

    /// What is known once a call has ended. `pause` tells how long to leave the provider alone after so many
    /// failures in a row.
    ///
    /// A pause is only ever ended, or followed by a longer one, by its own probe: what comes late of the calls
    /// that were under way when it began says nothing new.
    #[must_use]
    pub(super) fn after(
        self,
        call: Call,
        report: Report,
        now: Timestamp,
        pause: impl FnOnce(u32) -> Duration,
    ) -> Self {
        let failures = match (self, call) {
            (Self::Well, _) => 0,
            (Self::Probing { failures }, Call::Probe) => failures,
            (Self::Paused { .. }, _) | (Self::Probing { .. }, Call::Ordinary) => return self,
        };
        match report {
            Report::Answered => Self::Well,
            Report::Failed { retry_after } => {
                let failures = failures.saturating_add(1);
                let pause = pause(failures).max(retry_after.unwrap_or_default()).min(LONGEST);
                Self::Paused { failures, until: now.after(pause) }
            }
            Report::Unasked if failures == 0 => Self::Well,
            // The next call probes.
            Report::Unasked => Self::Paused { failures, until: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Report = Report::Failed { retry_after: None };

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// As many seconds as there were failures.
    fn pause(failures: u32) -> Duration {
        Duration::from_secs(failures.into())
    }

    fn paused(failures: u32, until: u64) -> Health {
        Health::Paused { failures, until: at(until) }
    }

    #[test]
    fn a_failure_pauses_and_then_one_call_finds_out() {
        let health = Health::Well.after(Call::Ordinary, FAILED, at(10), pause);
        assert_eq!(health, paused(1, 11));
        assert_eq!(health.admit(at(10)), None);
        let (probing, call) = health.admit(at(11)).unwrap();
        assert_eq!(call, Call::Probe);
        assert_eq!(probing.admit(at(100)), None, "one at a time");
        assert_eq!(probing.after(call, FAILED, at(12), pause), paused(2, 14));
        assert_eq!(probing.after(call, Report::Answered, at(12), pause), Health::Well);
        let unasked = probing.after(call, Report::Unasked, at(12), pause);
        assert_eq!(unasked.admit(at(12)), Some((probing, Call::Probe)));
    }

    #[test]
    fn while_it_is_well_any_number_may_call() {
        let (health, call) = Health::Well.admit(at(1)).unwrap();
        assert_eq!((health, call), (Health::Well, Call::Ordinary));
        for report in [Report::Answered, Report::Unasked] {
            assert_eq!(health.after(call, report, at(1), pause), Health::Well);
        }
    }

    #[test]
    fn what_comes_late_says_nothing_new() {
        let probing = Health::Probing { failures: 3 };
        for late in [FAILED, Report::Answered, Report::Unasked] {
            assert_eq!(paused(1, 11).after(Call::Ordinary, late, at(10), pause), paused(1, 11));
            assert_eq!(probing.after(Call::Ordinary, late, at(10), pause), probing);
        }
    }

    #[test]
    fn the_providers_own_wish_counts_where_it_is_longer() {
        let wish = |seconds| Report::Failed { retry_after: Some(Duration::from_secs(seconds)) };
        let probing = Health::Probing { failures: 4 };
        assert_eq!(probing.after(Call::Probe, wish(30), at(0), pause), paused(5, 30));
        assert_eq!(probing.after(Call::Probe, wish(2), at(0), pause), paused(5, 5));
        assert_eq!(probing.after(Call::Probe, wish(u64::MAX), at(0), pause), paused(5, LONGEST.as_secs()));
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_pause() {
        assert!(paused(1, 1_000).admit(at(1_000 - LONGEST.as_secs())).is_none());
        assert!(paused(1, 1_000).admit(at(999 - LONGEST.as_secs())).is_some());
    }
}

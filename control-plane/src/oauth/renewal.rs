//! Replacing what a provider gave: one attempt at a time, and after a failure none for a while.

use std::time::Duration;

use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

/// No lease and no pause is longer.
pub const LONGEST: Duration = Duration::from_mins(5);

/// The attempts to replace one version of an [`Upstream`](super::grant::Upstream).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// How many have been begun: the number of the latest, which tells its holder from those before it.
    attempts: u32,
    stage: Stage,
}

/// Where the latest attempt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// There has been none.
    #[default]
    Untried,
    /// Under way. Who does not end it has died: it ends by itself.
    Leased { until: Timestamp },
    /// It has failed.
    Deferred { until: Timestamp },
}

/// Why no attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Another is under way, and is given up at this time.
    Held {
        /// From then on.
        until: Timestamp,
    },
    /// The last one has failed, and the next must wait.
    Deferred {
        /// From then on.
        until: Timestamp,
    },
}

// === impl Renewal ===

impl Renewal {
    /// What stands in an attempt's way at `now`. What seems to last longer than anything does was begun before the
    /// clock was set back.
    pub fn busy(self, now: Timestamp) -> Option<Busy> {
        let lasts = |until: Timestamp| now < until && until.since(now) <= LONGEST;
        match self.stage {
            Stage::Leased { until } if lasts(until) => Some(Busy::Held { until }),
            Stage::Deferred { until } if lasts(until) => Some(Busy::Deferred { until }),
            Stage::Untried | Stage::Leased { .. } | Stage::Deferred { .. } => None,
        }
    }

    /// With an attempt that is under way until `until`, where none is and the last one's pause is over.
    pub fn begin(self, now: Timestamp, until: Timestamp) -> Result<Self, Busy> {
        match self.busy(now) {
            Some(busy) => Err(busy),
            None => Ok(Self { attempts: self.attempts.saturating_add(1), stage: Stage::Leased { until } }),
        }
    }

    /// The latest attempt's number, from 1.
    pub const fn attempt(self) -> u32 {
        self.attempts
    }

    /// Whether the attempt is the latest and has not been ended. Its time may be up: as long as nobody has
    /// taken over, it is still the one that may say how it ended.
    pub const fn is_held_by(self, attempt: u32) -> bool {
        matches!(self.stage, Stage::Leased { .. }) && self.attempts == attempt
    }

    /// With the latest attempt going on until `until`, at what it has brought so far.
    #[must_use]
    pub const fn goes_on(self, until: Timestamp) -> Self {
        Self { stage: Stage::Leased { until }, ..self }
    }

    /// After the latest attempt has failed; the next may begin at `until`.
    #[must_use]
    pub const fn deferred(self, until: Timestamp) -> Self {
        Self { stage: Stage::Deferred { until }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::grant::Upstream;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn an_attempt_keeps_others_out_until_its_time_is_up() {
        let first = Renewal::default().begin(at(0), at(10)).unwrap();
        assert_eq!(first.begin(at(9), at(20)), Err(Busy::Held { until: at(10) }));
        let second = first.begin(at(10), at(20)).unwrap();
        assert_eq!((first.attempt(), second.attempt()), (1, 2));
        assert!(first.is_held_by(1) && second.is_held_by(2) && !second.is_held_by(1));
    }

    #[test]
    fn a_row_from_before_there_was_a_lease_is_untried() {
        let former = r#"{"credential":"","credential_expires_at":null,"refresh_token":null,"version":7}"#;
        let upstream: Upstream = serde_json::from_str(former).unwrap();
        assert_eq!((upstream.version, upstream.renewal), (7, Renewal::default()));
    }

    #[test]
    fn t34_a_clock_that_is_set_back_prolongs_neither_lease_nor_pause() {
        let leased = Renewal::default().begin(at(0), at(1_000_000)).unwrap();
        let longest = at(1_000_000).before(LONGEST);
        for renewal in [leased, leased.deferred(at(1_000_000))] {
            assert!(renewal.busy(longest).is_some());
            assert!(renewal.busy(longest.before(Duration::from_millis(1))).is_none());
        }
    }

    #[test]
    fn an_attempt_that_goes_on_stays_the_same_and_keeps_others_out() {
        let third = Renewal { attempts: 3, stage: Stage::Leased { until: at(10) } }.goes_on(at(30));
        assert!(third.is_held_by(3) && third.attempt() == 3);
        assert_eq!(third.busy(at(29)), Some(Busy::Held { until: at(30) }));
        assert_eq!(third.busy(at(30)), None);
    }

    #[test]
    fn after_a_failure_nobody_tries_until_the_pause_is_over() {
        let failed = Renewal::default().begin(at(0), at(10)).unwrap().deferred(at(30));
        assert!(!failed.is_held_by(1), "it has been ended");
        assert_eq!(failed.begin(at(29), at(40)), Err(Busy::Deferred { until: at(30) }));
        assert_eq!(failed.begin(at(30), at(40)).unwrap().attempt(), 2);
    }
}

//! How fast refresh tokens of one grant may follow each other. Every one of them is remembered until it would have
//! expired, so that its reuse is recognised whenever it comes: hence there must not be more than so many.

use std::time::Duration;

use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

/// When the latest rotation would have come, had they all come evenly (a leaky bucket).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pace(Timestamp);

/// What is fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// For how long rotations may come one after the other, once in this time, and for ever.
    pub every: Duration,
    /// How many may come at once.
    pub burst: u32,
}

// === impl Pace ===

impl Pace {
    /// The pace with one more rotation at `now`; `None` where that would be too fast.
    #[must_use]
    pub fn step(self, now: Timestamp, limit: Limit) -> Option<Self> {
        let ahead = limit.every.saturating_mul(limit.burst);
        // Further ahead than any rotation can have put it: the clock has been set back, which is nobody's haste.
        let latest = if self.0 > now.after(ahead) { now } else { self.0.max(now) };
        let next = latest.after(limit.every);
        (next <= now.after(ahead)).then_some(Self(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { every: Duration::from_secs(10), burst: 3 };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// How many rotations there can be at once.
    fn burst(pace: &mut Pace, now: Timestamp) -> usize {
        let steps = std::iter::from_fn(|| {
            *pace = pace.step(now, LIMIT)?;
            Some(())
        });
        steps.take(100).count()
    }

    #[test]
    fn so_many_may_come_at_once_and_then_one_in_a_time() {
        let mut pace = Pace::default();
        assert_eq!(burst(&mut pace, at(100)), 3);
        assert_eq!(burst(&mut pace, at(109)), 0);
        assert_eq!(burst(&mut pace, at(110)), 1);
        assert_eq!(burst(&mut pace, at(135)), 2);
        assert_eq!(burst(&mut pace, at(1000)), 3, "and no more, however long nobody came");
    }

    #[test]
    fn who_comes_evenly_is_never_too_fast() {
        let mut pace = Pace::default();
        for time in 0..1000 {
            pace = pace.step(at(10 * time), LIMIT).unwrap();
        }
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let mut pace = Pace::default();
        burst(&mut pace, at(10_000));
        assert_eq!(burst(&mut pace, at(100)), 3);
    }
}

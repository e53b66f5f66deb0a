//! Which time it is, as far as removing things goes. A pure value.
//!
//! What has been swept away does not come back when a clock that jumped ahead is put right: in the control plane
//! every session would be gone, in authz what was revoked would be forgotten. So a jump is believed only when it has
//! lasted. Nobody can tell it from the time that passed while no process ran: then, too, what has expired
//! meanwhile is kept a little longer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::time::{Clock, SystemClock, Timestamp};

/// How much further the clock may have come than the time that has passed.
const TOLERANCE: Duration = Duration::from_mins(1);
/// How long a clock that has jumped ahead must stay there.
const DOUBTED_FOR: Duration = Duration::from_hours(1);

/// The time by the clock on the wall, less the jumps that are not believed yet.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    /// The last time that was believed.
    wall: Timestamp,
    /// When that was, by a clock that only counts up.
    at: Instant,
    /// Since when the clock on the wall is not believed.
    doubted_since: Option<Instant>,
}

/// The machine's clock, with its jumps ahead doubted.
#[derive(Debug)]
pub struct DoubtedClock(Mutex<Belief>);

// === impl DoubtedClock ===

impl Default for DoubtedClock {
    fn default() -> Self {
        Self(Mutex::new(Belief::new(SystemClock.now(), Instant::now())))
    }
}

impl Clock for DoubtedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn believed(&self) -> Timestamp {
        let mut belief = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        belief.update(SystemClock.now(), Instant::now())
    }
}

// === impl Belief ===

impl Belief {
    /// At the start: the time that was last gone by.
    pub fn new(wall: Timestamp, at: Instant) -> Self {
        Self { wall, at, doubted_since: None }
    }

    /// Whether the clock on the wall is not believed at the moment.
    pub fn doubts(&self) -> bool {
        self.doubted_since.is_some()
    }

    /// The time to go by when the clock says `wall`. A clock that was set back is believed: then less is removed.
    pub fn update(&mut self, wall: Timestamp, at: Instant) -> Timestamp {
        let expected = self.wall.after(at.duration_since(self.at));
        let ahead = wall.since(expected);
        let doubted_since = *self.doubted_since.get_or_insert(at);
        if ahead > TOLERANCE && at.duration_since(doubted_since) < DOUBTED_FOR {
            return expected;
        }
        *self = Self::new(wall, at);
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(5);
    const JUMP: Duration = Duration::from_hours(48);

    /// A clock that jumps by `JUMP` at `from` and stays there for `lasting`: the furthest time that was gone by,
    /// and the last.
    fn go_by(from: Duration, lasting: Duration, total: Duration) -> (Duration, Duration) {
        let (start, origin) = (Instant::now(), Timestamp::from_millis(1_000_000));
        let mut belief = Belief::new(origin, start);
        let (mut passed, mut furthest, mut last) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        while passed < total {
            passed += STEP;
            let jump = if passed >= from && passed < from + lasting { JUMP } else { Duration::ZERO };
            let wall = origin.after(passed + jump);
            last = belief.update(wall, start + passed).since(origin);
            furthest = furthest.max(last);
        }
        (furthest, last)
    }

    #[test]
    fn a_steady_clock_is_believed() {
        let day = Duration::from_hours(24);
        assert_eq!(go_by(day, Duration::ZERO, day), (day, day));
    }

    #[test]
    fn t34_a_jump_ahead_that_is_put_right_within_the_hour_was_never_believed() {
        let total = Duration::from_hours(3);
        assert_eq!(go_by(STEP, Duration::from_mins(59), total), (total, total));
    }

    #[test]
    fn a_jump_ahead_that_lasts_is_believed_after_an_hour() {
        let total = Duration::from_mins(59);
        assert_eq!(go_by(STEP, total, total), (total, total));
        let total = Duration::from_mins(61);
        assert_eq!(go_by(STEP, total, total).1, total + JUMP);
    }

    #[test]
    fn a_second_jump_is_doubted_anew() {
        let (start, origin) = (Instant::now(), Timestamp::from_millis(1_000_000));
        let mut belief = Belief::new(origin, start);
        let mut at = |seconds, jump| {
            let passed = Duration::from_secs(seconds);
            belief.update(origin.after(passed + jump), start + passed).since(origin).as_secs()
        };
        assert_eq!(at(5, JUMP), 5);
        assert_eq!(at(1000, Duration::ZERO), 1000);
        assert_eq!(at(3700, JUMP), 3700);
    }

    #[test]
    fn a_clock_that_is_set_back_is_believed_at_once() {
        let (start, origin) = (Instant::now(), Timestamp::from_millis(1_000_000_000));
        let mut belief = Belief::new(origin, start);
        let back = origin.before(Duration::from_hours(2));
        assert_eq!(belief.update(back, start + STEP), back);
        assert_eq!(belief.update(back.after(STEP), start + STEP * 2), back.after(STEP));
    }
}

//! How recently the replica was known to have all revocations. A pure value; moments are parameters.
//!
//! What a heartbeat proves, it proves for the moment when the instance asked for it, however long question and
//! answer were on their way: so a slow network makes the replica old, and not wrong.

use std::time::Duration;

use portcullis_proto::ids::Sequence;
use portcullis_proto::time::Timestamp;
use tokio::time::Instant;

use super::skew::TOLERANCE;

/// A moment by both of the machine's clocks. The one that counts up stands still while the machine sleeps; the one
/// on the wall may be set. Where they disagree, more time is taken to have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the clock that only counts up.
    pub instant: Instant,
    /// By the clock on the wall.
    pub wall: Timestamp,
}

/// What the heartbeats say about the replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// The latest moment for which it is known that nothing was missing.
    current_at: Option<Moment>,
    /// The oldest heartbeat that named entries which are still to come, and when it was asked for.
    awaited: Option<(Sequence, Moment)>,
}

// === impl Moment ===

impl Moment {
    /// How long this is after `earlier`; zero where it is before.
    pub fn since(self, earlier: Self) -> Duration {
        self.instant.duration_since(earlier.instant).max(self.wall.since(earlier.wall))
    }

    /// How much more has passed by one clock than by the other.
    fn apart_since(self, earlier: Self) -> Duration {
        let (counted, back) = (self.instant.duration_since(earlier.instant), earlier.wall.since(self.wall));
        if back.is_zero() { self.wall.since(earlier.wall).abs_diff(counted) } else { counted + back }
    }
}

// === impl Freshness ===

impl Freshness {
    /// Takes in a heartbeat that was asked for at `asked`: the log's head is `head`, the replica stands at
    /// `position`.
    pub fn heartbeat(&mut self, head: Sequence, position: Sequence, asked: Moment) {
        if head <= position {
            *self = Self { current_at: Some(asked), awaited: None };
        } else {
            self.awaited.get_or_insert((head, asked));
        }
    }

    /// The replica now stands at `position`.
    pub fn advance(&mut self, position: Sequence) {
        if let Some((head, asked)) = self.awaited
            && head <= position
        {
            *self = Self { current_at: Some(asked), awaited: None };
        }
    }

    /// Another stream begins: what the last one announced does not count there.
    pub fn reconnect(&mut self) {
        self.awaited = None;
    }

    /// How old the replica's knowledge is; `None` before the first catch-up.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        self.current_at.map(|at| now.since(at))
    }

    /// Whether both clocks have gone alike since then. Where one was set, or stood still, no token's end can be judged before
    /// a heartbeat has told the time.
    pub fn clocks_agree(&self, now: Moment) -> bool {
        self.current_at.is_none_or(|at| now.apart_since(at) <= TOLERANCE)
    }

    /// Whether the replica may decide.
    pub fn within(&self, max_staleness: Duration, now: Moment) -> bool {
        self.age(now).is_some_and(|age| age <= max_staleness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_mins(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Both clocks run.
    fn after(start: Instant, passed: Duration) -> Moment {
        Moment { instant: start + passed, wall: Timestamp::from_millis(1_000_000).after(passed) }
    }

    #[test]
    fn nothing_is_fresh_before_the_first_catch_up() {
        let now = after(Instant::now(), Duration::ZERO);
        let mut freshness = Freshness::default();
        assert!(!freshness.within(MAX, now));
        freshness.heartbeat(Sequence(3), Sequence(1), now);
        freshness.advance(Sequence(2));
        assert!(!freshness.within(MAX, now));
        freshness.advance(Sequence(3));
        assert!(freshness.within(MAX, now));
    }

    #[test]
    fn silence_makes_stale_and_a_heartbeat_recovers() {
        let start = Instant::now();
        let mut freshness = Freshness::default();
        freshness.heartbeat(Sequence(0), Sequence(0), after(start, Duration::ZERO));
        assert!(freshness.within(MAX, after(start, MAX)));
        let later = after(start, MAX + SECOND);
        assert!(!freshness.within(MAX, later));
        freshness.heartbeat(Sequence(0), Sequence(0), later);
        assert!(freshness.within(MAX, later));
    }

    #[test]
    fn heartbeats_without_their_entries_do_not_count() {
        let start = Instant::now();
        let mut freshness = Freshness::default();
        freshness.heartbeat(Sequence(0), Sequence(0), after(start, Duration::ZERO));
        for second in 1..100 {
            freshness.heartbeat(Sequence(1), Sequence(0), after(start, SECOND * second));
        }
        let now = after(start, SECOND * 61);
        assert!(!freshness.within(MAX, now));
        // Once they come, they prove the first of these heartbeats, not the last.
        freshness.advance(Sequence(1));
        assert_eq!(freshness.age(now), Some(SECOND * 60));
    }

    #[test]
    fn what_another_stream_announced_is_not_awaited() {
        let now = after(Instant::now(), Duration::ZERO);
        let mut freshness = Freshness::default();
        freshness.heartbeat(Sequence(9), Sequence(0), now);
        freshness.reconnect();
        freshness.advance(Sequence(9));
        assert_eq!(freshness.age(now), None);
    }

    #[test]
    fn t34_a_clock_that_was_set_is_noticed_before_the_next_heartbeat() {
        let (start, passed) = (Instant::now(), MAX * 10);
        let mut freshness = Freshness::default();
        assert!(freshness.clocks_agree(after(start, passed)));
        freshness.heartbeat(Sequence(0), Sequence(0), after(start, Duration::ZERO));
        let now = after(start, passed);
        for (by, agree) in
            [(Duration::ZERO, true), (TOLERANCE, true), (TOLERANCE + SECOND, false), (passed + SECOND, false)]
        {
            for wall in [now.wall.after(by), now.wall.before(by)] {
                assert_eq!(freshness.clocks_agree(Moment { wall, ..now }), agree, "{by:?}");
            }
        }
    }

    #[test]
    fn t34_a_machine_that_slept_is_as_old_as_the_clock_on_the_wall_says() {
        let start = Instant::now();
        let mut freshness = Freshness::default();
        freshness.heartbeat(Sequence(0), Sequence(0), after(start, Duration::ZERO));
        let awake = Moment { instant: start + SECOND, ..after(start, MAX + SECOND) };
        assert!(!freshness.within(MAX, awake));
        // A clock that was set back makes nothing younger.
        let set_back = Moment { wall: Timestamp::default(), ..after(start, MAX + SECOND) };
        assert!(!freshness.within(MAX, set_back));
    }
}

//! How recently the replica was known to have all revocations. A pure value; `now` is monotonic time.

use std::time::Duration;

use portcullis_proto::ids::Sequence;
use tokio::time::Instant;

/// What the heartbeats say about the replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// The latest moment for which it is known that nothing was missing.
    current_at: Option<Instant>,
    /// The oldest heartbeat that named entries which are still to come.
    awaited: Option<(Sequence, Instant)>,
}

// === impl Freshness ===

impl Freshness {
    /// Takes in a heartbeat: the log's head is `head`, the replica stands at `position`.
    pub fn heartbeat(&mut self, head: Sequence, position: Sequence, now: Instant) {
        if head <= position {
            *self = Self { current_at: Some(now), awaited: None };
        } else {
            self.awaited.get_or_insert((head, now));
        }
    }

    /// The replica now stands at `position`.
    pub fn advance(&mut self, position: Sequence) {
        if let Some((head, at)) = self.awaited
            && head <= position
        {
            *self = Self { current_at: Some(at), awaited: None };
        }
    }

    /// Another stream begins: what the last one announced does not count there.
    pub fn reconnect(&mut self) {
        self.awaited = None;
    }

    /// How old the replica's knowledge is; `None` before the first catch-up.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.current_at.map(|at| now.duration_since(at))
    }

    /// Whether the replica may decide.
    pub fn within(&self, max_staleness: Duration, now: Instant) -> bool {
        self.age(now).is_some_and(|age| age <= max_staleness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_mins(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn nothing_is_fresh_before_the_first_catch_up() {
        let now = Instant::now();
        let mut freshness = Freshness::default();
        assert!(!freshness.within(MAX, now));
        freshness.heartbeat(Sequence(3), Sequence(1), now);
        freshness.advance(Sequence(2));
        assert!(!freshness.within(MAX, now));
        freshness.advance(Sequence(3));
        assert!(freshness.within(MAX, now));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_makes_stale_and_a_heartbeat_recovers() {
        let start = Instant::now();
        let mut freshness = Freshness::default();
        freshness.heartbeat(Sequence(0), Sequence(0), start);
        assert!(freshness.within(MAX, start + MAX));
        assert!(!freshness.within(MAX, start + MAX + SECOND));
        freshness.heartbeat(Sequence(0), Sequence(0), start + MAX + SECOND);
        assert!(freshness.within(MAX, start + MAX + SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn heartbeats_without_their_entries_do_not_count() {
        let start = Instant::now();
        let mut freshness = Freshness::default();
        freshness.heartbeat(Sequence(0), Sequence(0), start);
        for second in 1..100 {
            freshness.heartbeat(Sequence(1), Sequence(0), start + SECOND * second);
        }
        assert!(!freshness.within(MAX, start + SECOND * 61));
        // Once they come, they prove the first of these heartbeats, not the last.
        freshness.advance(Sequence(1));
        assert_eq!(freshness.age(start + SECOND * 61), Some(SECOND * 60));
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_stream_announced_is_not_awaited() {
        let start = Instant::now();
        let mut freshness = Freshness::default();
        freshness.heartbeat(Sequence(9), Sequence(0), start);
        freshness.reconnect();
        freshness.advance(Sequence(9));
        assert_eq!(freshness.age(start), None);
    }
}

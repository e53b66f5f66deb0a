//! How long to leave alone what has failed.

use std::time::Duration;

use portcullis_proto::random::{self, Random};

/// A pause that doubles with each failure in a row, up to a longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// After the first failure.
    pub(super) first: Duration,
    /// Never longer.
    pub(super) longest: Duration,
}

// === impl Backoff ===

impl Backoff {
    /// The pause after so many failures in a row. `draw` picks it evenly from the upper half, so that those who
    /// failed together do not come back together.
    pub(super) fn after(self, failures: u32, draw: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = whole / 2;
        half + half.mul_f64(f64::from(draw) / f64::from(u32::MAX))
    }
}

pub(super) fn draw(random: &dyn Random) -> u32 {
    u32::from_be_bytes(random::bytes(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), longest: Duration::from_mins(5) };

    #[test]
    fn it_doubles_up_to_the_longest_and_stays_there() {
        let pauses: Vec<u64> = [0, 1, 2, 3, 6, 7, 8, 40, u32::MAX]
            .map(|failures| BACKOFF.after(failures, u32::MAX).as_secs())
            .into();
        assert_eq!(pauses, [5, 5, 10, 20, 160, 300, 300, 300, 300]);
    }

    #[test]
    fn the_draw_picks_from_the_upper_half() {
        assert_eq!(BACKOFF.after(2, 0), Duration::from_secs(5));
        let middle = BACKOFF.after(2, u32::MAX / 2).as_secs_f64();
        assert!((middle - 7.5).abs() < 0.001, "{middle}");
        assert_eq!(BACKOFF.after(2, u32::MAX), Duration::from_secs(10));
    }
}

//! How long to wait before the next attempt.

use std::time::Duration;

use portcullis_proto::random::{self, Random};

const FIRST: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_secs(5);

/// Delays that double from 50 ms to 5 s, each shortened at random by up to a half, so that instances
/// which lost the control plane together do not come back together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff(Duration);

// === impl Backoff ===

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next delay.
    pub(super) fn next(&mut self, random: &dyn Random) -> Duration {
        let [part] = random::bytes(random);
        let delay = self.0 / 2 + self.0 / 2 * u32::from(part) / 255;
        self.0 = (self.0 * 2).min(LAST);
        delay
    }

    /// Things work again.
    pub(super) fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(u8);

    impl Random for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn delays_double_up_to_a_bound_and_begin_again() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..9).map(|_| backoff.next(&Constant(255)).as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next(&Constant(0)).as_millis(), 25);
    }
}

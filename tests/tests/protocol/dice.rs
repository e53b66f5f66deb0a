//! Numbers that look random, and are the same for the same seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_proto::random::Random;

/// A generator known as splitmix64.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

// === impl Dice ===

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0xd134_2543_de82_ef95)))
    }

    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..sides`.
    pub(crate) fn roll(&self, sides: usize) -> usize {
        usize::try_from(self.next() % sides as u64).unwrap()
    }

    /// Between the two, in milliseconds.
    pub(crate) fn duration(&self, from: Duration, to: Duration) -> Duration {
        let millis = |duration: Duration| usize::try_from(duration.as_millis()).unwrap();
        let spread = self.roll(millis(to) - millis(from) + 1);
        from + Duration::from_millis(spread as u64)
    }
}

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next().to_le_bytes()[0]);
    }
}

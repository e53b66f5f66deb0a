//! Chance that can be repeated: the same seed, the same draws.

use std::ops::Range;
use std::time::Duration;

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Dice(u64);

// === impl Dice ===

impl Dice {
    /// The draws of one seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other dice, which do not depend on how often these are thrown afterwards.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Whether one of `sides` came up.
    pub fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    /// One of them, where there are any.
    pub fn pick<T>(&mut self, from: impl IntoIterator<Item = T>) -> Option<T> {
        let mut from: Vec<T> = from.into_iter().collect();
        if from.is_empty() {
            return None;
        }
        let index = self.below(from.len() as u64);
        Some(from.swap_remove(usize::try_from(index).ok()?))
    }

    /// A duration of whole milliseconds from the range, which must not be empty.
    pub fn within(&mut self, range: Range<Duration>) -> Duration {
        let millis = u64::try_from(range.end.saturating_sub(range.start).as_millis()).unwrap_or(u64::MAX);
        range.start + Duration::from_millis(self.below(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_are_those_of_the_reference() {
        let mut dice = Dice::new(1_234_567);
        assert_eq!([dice.draw(), dice.draw()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn everything_in_a_range_comes_up_and_nothing_else() {
        let mut dice = Dice::new(7);
        let range = Duration::from_millis(3)..Duration::from_millis(6);
        let drawn: std::collections::BTreeSet<_> =
            (0..100).map(|_| dice.within(range.clone()).as_millis()).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(dice.pick(Vec::<u8>::new()), None);
    }
}

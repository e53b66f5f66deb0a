//! Records that are kept decoded, in front of the store.
//!
//! A token's id is a hash already, so it says by itself where its record may be: in one of two places, which hold the
//! latest records of their ids. Nothing is locked and nothing is counted; a record that finds its places taken costs
//! no more than another look into the store. A record that was found there gets a place when it is looked for again before
//! another one of its pair: where so many tokens are in use that few would be found here, few come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use portcullis_proto::ids::TokenId;

use super::Known;

/// Pairs of places: a power of two. With ten thousand tokens in use, one in some hundred finds both of its own taken.
const PAIRS: usize = 1 << 15;

/// The cache: 65,536 records at most.
#[derive(Debug)]
pub(super) struct Hot {
    pairs: Box<[Pair]>,
    era: AtomicU64,
}

/// The time between two calls of [`Hot::clear`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era(u64);

/// The latest record of any of the pair's ids, and the one before it.
#[derive(Debug, Default)]
struct Pair {
    latest: ArcSwapOption<Known>,
    older: ArcSwapOption<Known>,
    /// Of the last one that was found in the store, some of its id.
    offered: AtomicU32,
}

// === impl Hot ===

impl Hot {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { pairs: (0..PAIRS).map(|_| Pair::default()).collect(), era: AtomicU64::default() }
    }

    /// What a record must say that is looked for from now on: to be asked for before it is read from anywhere.
    pub(super) fn era(&self) -> Era {
        Era(self.era.load(Ordering::Acquire))
    }

    /// The record of a token, where it is here and of this era.
    pub(super) fn get(&self, id: &TokenId) -> Option<Arc<Known>> {
        let (pair, era) = (self.pair(id), self.era());
        [&pair.latest, &pair.older].into_iter().find_map(|place| {
            let known = place.load();
            known.as_ref().filter(|known| known.record.token == *id && known.era == era).cloned()
        })
    }

    /// Keeps a record. It is found before an older one of the same token.
    pub(super) fn insert(&self, known: Arc<Known>) {
        let pair = self.pair(&known.record.token);
        pair.older.store(pair.latest.swap(Some(known)));
    }

    /// Keeps a record, where it was the last of its pair that was offered before.
    pub(super) fn offer(&self, known: &Arc<Known>) {
        let (pair, tag) = (self.pair(&known.record.token), tag(&known.record.token));
        if pair.offered.load(Ordering::Relaxed) == tag {
            self.insert(known.clone());
        } else {
            pair.offered.store(tag, Ordering::Relaxed);
        }
    }

    /// Begins another era: no record that was asked for before this is found any more.
    pub(super) fn clear(&self) {
        self.era.fetch_add(1, Ordering::AcqRel);
    }

    fn pair(&self, id: &TokenId) -> &Pair {
        let [first, second, third, fourth, ..] = *id.as_bytes();
        &self.pairs[u32::from_le_bytes([first, second, third, fourth]) as usize % PAIRS]
    }
}

/// What tells an id from most others of its pair.
fn tag(id: &TokenId) -> u32 {
    let [.., fourth, third, second, last] = *id.as_bytes();
    u32::from_le_bytes([fourth, third, second, last])
}

#[cfg(test)]
mod tests {
    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::record::TokenRecord;

    use super::*;
    use crate::replica::store::Generation;
    use crate::testing::record;

    /// A record of the pair 0.
    fn known(hot: &Hot, number: u8) -> Arc<Known> {
        let mut id = [0; 32];
        id[31] = number;
        let record = TokenRecord { token: TokenId::from_slice(&id).unwrap(), ..record() };
        Arc::new(Known { record, generation: Generation::generate(&SystemRandom), era: hot.era() })
    }

    #[test]
    fn the_two_latest_of_a_pair_are_found_and_nothing_else() {
        let hot = Hot::new();
        let known = [1, 2, 3].map(|number| known(&hot, number));
        for known in &known {
            assert!(hot.get(&known.record.token).is_none());
            hot.insert(known.clone());
            assert!(Arc::ptr_eq(&hot.get(&known.record.token).unwrap(), known));
        }
        assert_eq!(known.map(|known| hot.get(&known.record.token).is_some()), [false, true, true]);
    }

    #[test]
    fn of_one_token_the_later_record_is_found() {
        let hot = Hot::new();
        let (old, new) = (known(&hot, 1), known(&hot, 1));
        hot.insert(old);
        hot.insert(new.clone());
        assert!(Arc::ptr_eq(&hot.get(&new.record.token).unwrap(), &new));
    }

    #[test]
    fn what_is_offered_is_kept_the_second_time_unless_another_came_between() {
        let hot = Hot::new();
        let [first, second] = [1, 2].map(|number| known(&hot, number));
        let is_there = |known: &Arc<Known>| hot.get(&known.record.token).is_some();
        for offered in [&first, &second, &first, &second] {
            hot.offer(offered);
        }
        assert!(!is_there(&first) && !is_there(&second));
        hot.offer(&second);
        assert!(!is_there(&first) && is_there(&second));
    }

    /// It was read before, and comes late: what was removed meanwhile must not come back with it.
    #[test]
    fn what_was_asked_for_before_it_was_cleared_is_not_found_whenever_it_comes() {
        let hot = Hot::new();
        let (there, late) = (known(&hot, 1), known(&hot, 2));
        hot.insert(there.clone());
        hot.clear();
        hot.insert(late.clone());
        assert!(hot.get(&there.record.token).is_none() && hot.get(&late.record.token).is_none());
        let next = known(&hot, 2);
        hot.insert(next.clone());
        assert!(hot.get(&next.record.token).is_some());
    }
}

//! A map that holds a fixed number of entries.

use std::collections::{HashMap, VecDeque};

/// Entries by random key. Where a new one does not fit, the oldest makes room.
pub(super) struct Bounded<V> {
    entries: HashMap<String, V>,
    order: VecDeque<String>,
    limit: usize,
}

// === impl Bounded ===

impl<V> Bounded<V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn insert(&mut self, key: String, value: V) {
        // Keys of entries that were taken count too, so that `order` is as bounded as `entries`.
        while self.order.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.entries.insert(key, value);
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn take(&mut self, key: &str) -> Option<V> {
        self.entries.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let mut map = Bounded::new(2);
        for key in ["a", "b", "c"] {
            map.insert(key.to_owned(), key);
        }
        assert_eq!(map.get("a"), None);
        assert_eq!(map.take("c"), Some("c"));
        assert_eq!(map.take("c"), None);
        assert_eq!((map.entries.len(), map.order.len()), (1, 2));
    }
}

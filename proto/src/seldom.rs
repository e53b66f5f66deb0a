//! Log lines that come in floods.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often a repeated event is logged, at most.
const EVERY: Duration = Duration::from_secs(10);

/// Lets a log line through now and then, where a flood of them would say no more than one.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Instant>>);

// === impl Seldom ===

impl Seldom {
    /// Nothing has been logged yet.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether a line is due.
    pub fn now(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_becomes_one_line_every_ten_seconds() {
        let seldom = Seldom::default();
        assert!(seldom.now());
        assert!(!seldom.now());
        tokio::time::advance(EVERY).await;
        assert!(seldom.now());
        assert!(!seldom.now());
    }
}

//! Logs: JSON lines on standard error.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How often a repeated event is logged, at most.
const EVERY: Duration = Duration::from_secs(10);

/// Lets a log line through now and then, where a flood of them would say no more than one.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Instant>>);

/// Sends this process's logs to standard error. `RUST_LOG` filters them; by default, `info` and above.
pub fn init() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    // A panic is an event like any other: one line of JSON.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
}

// === impl Seldom ===

impl Seldom {
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

//! Logs: JSON lines on standard error.

use std::io;

pub use portcullis_proto::seldom::Seldom;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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

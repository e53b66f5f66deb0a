//! Tables of what was measured.

use std::fmt::Write;

use crate::ladder::{Measured, Sample};

/// The ladder, in Markdown: medians, and in brackets the lowest and the highest round.
pub fn ladder(measured: &[Measured]) -> String {
    let mut table = String::from(
        "| | requests/s | p50 ms | p99 ms | Envoy us | server us | sum us | p50 / p99 ms at the fixed rate | server MB |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, samples) in measured {
        let of = |figure: fn(&Sample) -> f64| Spread::of(samples.iter().map(figure));
        let _ = writeln!(
            table,
            "| {name} | {:.0} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.3} / {:.3} | {:.0} |",
            of(|sample| sample.rate),
            of(|sample| sample.p50 / 1e3),
            of(|sample| sample.p99 / 1e3),
            of(|sample| sample.envoy),
            of(|sample| sample.server),
            of(|sample| sample.envoy + sample.server),
            of(|sample| sample.paced_p50 / 1e3),
            of(|sample| sample.paced_p99 / 1e3),
            of(|sample| sample.memory as f64 / 1e6),
        );
    }
    table
}

/// A series in three figures.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Half of them are lower.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

// === impl Spread ===

impl Spread {
    /// Of some figures; there must be one.
    pub fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_unstable_by(f64::total_cmp);
        Self { median: figures[figures.len() / 2], low: figures[0], high: figures[figures.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let precision = f.precision().unwrap_or(1);
        write!(f, "{:.precision$} ({:.precision$}-{:.precision$})", self.median, self.low, self.high)
    }
}

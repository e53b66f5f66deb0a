//! Tables of what was measured, in Markdown: medians, and in brackets the lowest and the highest round.

use std::fmt::Write;

use crate::fan_out::Series;
use crate::goals::{Goal, percentile};
use crate::ladder::{Climbed, Sample};
use crate::{floods, tokens};

/// The ladder.
pub fn ladder(climbed: &Climbed) -> String {
    let mut table = String::from(
        "| | requests/s | p50 ms | p99 ms | Envoy us | server us | sum us | p50 / p99 ms at the fixed rate | server MB |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, samples) in &climbed.steps {
        let of = |figure: fn(&Sample) -> f64| Figure(Spread::of(samples.iter().map(figure)));
        let paced = |figure: fn(&Sample) -> Option<f64>| {
            Figure(
                samples
                    .iter()
                    .map(figure)
                    .collect::<Option<Vec<_>>>()
                    .and_then(|all| Spread::of(all.into_iter())),
            )
        };
        let _ = writeln!(
            table,
            "| {name} | {:.0} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.3} / {:.3} | {:.0} |",
            of(|sample| sample.rate),
            of(|sample| sample.p50 / 1e3),
            of(|sample| sample.p99 / 1e3),
            of(|sample| sample.envoy),
            of(|sample| sample.server),
            of(|sample| sample.envoy + sample.server),
            paced(|sample| Some(sample.paced?.p50 / 1e3)),
            paced(|sample| Some(sample.paced?.p99 / 1e3)),
            of(|sample| sample.memory as f64 / 1e6),
        );
    }
    for missing in &climbed.missing {
        let _ = writeln!(table, "\n{} could not be measured: {}.", missing.name, one_line(&missing.why));
    }
    table
}

/// What the control plane gives.
pub fn tokens(kinds: &[(&str, Vec<tokens::Sample>)]) -> String {
    let mut table =
        String::from("| | a second | p50 ms | p99 ms | control plane us |\n|---|---|---|---|---|\n");
    for (name, samples) in kinds {
        let of = |figure: fn(&tokens::Sample) -> f64| Figure(Spread::of(samples.iter().map(figure)));
        let _ = write!(
            table,
            "| {name} | {:.0} | {:.2} | {:.2} |",
            of(|sample| sample.rate),
            of(|sample| sample.p50 / 1e3),
            of(|sample| sample.p99 / 1e3),
        );
        let _ = if name.starts_with("bare") {
            writeln!(table, " |")
        } else {
            writeln!(table, " {:.0} |", of(|sample| sample.cpu))
        };
    }
    table
}

/// Revocations.
pub fn fan_out(series: &Series) -> String {
    let mut table = String::from("| | p50 ms | p99 ms |\n|---|---|---|\n");
    let rows = [
        ("control plane, until the last instance knows", &series.portcullis),
        ("bare tonic, until the last instance knows", &series.bare),
        ("control plane, until the operator is told that all have it in force", &series.barrier),
    ];
    for (name, series) in rows {
        let at = |percent| percentile(series, percent).unwrap_or(f64::NAN) / 1e3;
        let _ = writeln!(table, "| {name} | {:.1} | {:.1} |", at(50.0), at(99.0));
    }
    table
}

/// Bad tokens.
pub fn floods(samples: &[floods::Sample]) -> String {
    let of = |figure: fn(&floods::Sample) -> f64| Figure(Spread::of(samples.iter().map(figure)));
    let mut table = String::from("| | |\n|---|---|\n");
    let rows = [
        ("CPU of Envoy and authz, good token, us", of(|sample| sample.good)),
        ("CPU of Envoy and authz, garbage token, us", of(|sample| sample.garbage)),
        ("good requests alone, p50 us", of(|sample| sample.quiet.p50)),
        ("good requests alone, p99 us", of(|sample| sample.quiet.p99)),
        ("good requests in the flood, p50 us", of(|sample| sample.flooded.p50)),
        ("good requests in the flood, p99 us", of(|sample| sample.flooded.p99)),
        ("good requests in the flood, answered 503, %", of(|sample| sample.refused * 100.0)),
        ("the flood itself, answered 503 and not 401, %", of(|sample| sample.deferred * 100.0)),
    ];
    for (name, figure) in rows {
        let _ = writeln!(table, "| {name} | {figure:.1} |");
    }
    table
}

/// What came out beside what should.
pub fn goals(goals: &[Goal]) -> String {
    let mut table = String::from("| | measured | goal | |\n|---|---|---|---|\n");
    for Goal { what, figure, bound } in goals {
        let verdict = match figure {
            Some(figure) if bound.is_met(figure.median) => "met",
            Some(_) => "**missed**",
            None => "not measured",
        };
        let _ = writeln!(table, "| {what} | {:.2} | {bound} | {verdict} |", Figure(*figure));
    }
    table
}

/// In a sentence or a cell of a table.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/")
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

/// What may not have been measured.
struct Figure(Option<Spread>);

// === impl Spread ===

impl Spread {
    /// Of some figures, where there is one.
    pub fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_unstable_by(f64::total_cmp);
        Some(Self {
            median: *figures.get(figures.len() / 2)?,
            low: *figures.first()?,
            high: *figures.last()?,
        })
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let precision = f.precision().unwrap_or(1);
        match self.0 {
            None => f.write_str("-"),
            Some(Spread { median, low, high }) if low.to_bits() == high.to_bits() => {
                write!(f, "{median:.precision$}")
            }
            Some(Spread { median, low, high }) => {
                write!(f, "{median:.precision$} ({low:.precision$}-{high:.precision$})")
            }
        }
    }
}

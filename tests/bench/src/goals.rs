//! Ratios of what was measured in the same rounds, beside what they should be.

use crate::ladder::{self, Climbed, Sample};
use crate::report::Spread;
use crate::run::Results;
use crate::{floods, tokens};

/// A figure, and what it should be.
#[derive(Debug)]
pub struct Goal {
    /// What is compared.
    pub what: &'static str,
    /// What came out, where it was measured.
    pub figure: Option<Spread>,
    /// What should.
    pub bound: Bound,
}

/// Where a goal is met.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// Here and below.
    AtMost(f64),
    /// Here and above.
    AtLeast(f64),
    /// Below.
    Less(f64),
}

/// All of them.
pub fn goals(results: &Results) -> Vec<Goal> {
    let ladder = results.ladder.as_ref().ok();
    let steps = |of: &str, to: &str, figure: fn(&Sample, &Sample) -> Option<f64>| {
        let figures = pairs(ladder?, of, to)?.filter_map(|(of, to)| figure(of, to));
        Spread::of(figures)
    };
    let floods =
        |figure: fn(&floods::Sample) -> f64| Spread::of(results.floods.as_ref().ok()?.iter().map(figure));
    let goal = |what, figure, bound| Goal { what, figure, bound };
    vec![
        goal(
            "CPU of authz for a request / of an ordinary server that allows everything",
            steps(ladder::PORTCULLIS, ladder::ORDINARY, |of, to| Some(of.server / to.server)),
            Bound::AtMost(0.9),
        ),
        goal(
            "requests a second / with a lean server that allows everything",
            steps(ladder::PORTCULLIS, ladder::LEAN, |of, to| Some(of.rate / to.rate)),
            Bound::AtLeast(0.92),
        ),
        goal(
            "CPU of Envoy and authz for a request / of Envoy with jwt_authn ES256",
            steps(ladder::PORTCULLIS, ladder::ES256, |of, to| {
                Some((of.envoy + of.server) / (to.envoy + to.server))
            }),
            Bound::AtMost(0.9),
        ),
        goal(
            "p99 at the fixed rate, over a lean server that allows everything: ms more",
            steps(ladder::PORTCULLIS, ladder::LEAN, |of, to| Some((of.paced?.p99 - to.paced?.p99) / 1e3)),
            Bound::AtMost(0.3),
        ),
        goal(
            "refreshes a second / operations of like size that the same disk makes durable",
            issued(results, tokens::BARE),
            Bound::AtLeast(0.5),
        ),
        goal(
            "a revocation until the last instance / a bare fan-out, p50",
            fan_out(results, 50.0),
            Bound::AtMost(3.0),
        ),
        goal("the same, p99", fan_out(results, 99.0), Bound::AtMost(3.0)),
        goal(
            "CPU of Envoy and authz for a garbage token / for a good one",
            floods(|sample| sample.garbage / sample.good),
            Bound::Less(1.0),
        ),
    ]
}

/// What two steps said in the same rounds.
fn pairs<'a>(
    climbed: &'a Climbed,
    of: &str,
    to: &str,
) -> Option<impl Iterator<Item = (&'a Sample, &'a Sample)>> {
    let samples =
        |wanted: &str| climbed.steps.iter().find(|(name, _)| name == wanted).map(|(_, samples)| samples);
    Some(samples(of)?.iter().zip(samples(to)?))
}

fn issued(results: &Results, to: &str) -> Option<Spread> {
    let kinds = results.tokens.as_ref().ok()?;
    let samples = |wanted: &str| kinds.iter().find(|(name, _)| *name == wanted).map(|(_, samples)| samples);
    let rounds = samples(tokens::REFRESHES)?.iter().zip(samples(to)?);
    Spread::of(rounds.map(|(of, to)| of.rate / to.rate))
}

/// Of percentiles, which are of the whole series: there is one figure.
fn fan_out(results: &Results, percent: f64) -> Option<Spread> {
    let series = results.fan_out.as_ref().ok()?;
    Spread::of([percentile(&series.portcullis, percent)? / percentile(&series.bare, percent)?].into_iter())
}

/// The figure that so many percent do not exceed.
pub fn percentile(series: &[f64], percent: f64) -> Option<f64> {
    let mut series = series.to_owned();
    series.sort_unstable_by(f64::total_cmp);
    let last = series.len().checked_sub(1)?;
    Some(series[(last as f64 * percent / 100.0).round() as usize])
}

// === impl Bound ===

impl Bound {
    /// Whether a figure is what it should be.
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
            Self::Less(bound) => figure < bound,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::Less(bound) => write!(f, "< {bound}"),
        }
    }
}

//! What is measured, in the `OpenMetrics` text format.

mod durations;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use portcullis_proto::mesh::{self, Observer};
use portcullis_proto::time::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::decide::{Denial, Outage, Refusal, Way};
use crate::replica::Figures;
use crate::replica::skew::Skew;
use durations::Durations;

/// Every metric of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Decisions,
    check_seconds: Durations,
    resolves: Family<Resolve, Counter>,
    resolve_seconds: Histogram,
    lag_seconds: Gauge<f64, AtomicU64>,
    clock_skew_seconds: Gauge<f64, AtomicU64>,
    applied: Gauge<u64, AtomicU64>,
    head: Gauge<u64, AtomicU64>,
    records: Gauge<u64, AtomicU64>,
    tombstones: Gauge<u64, AtomicU64>,
    mesh_refusals: Family<MeshRefusal, Counter>,
    mesh_reloads: Family<MeshReload, Counter>,
    mesh_certificate_expiry: Gauge<u64, AtomicU64>,
}

/// A counter for each way that a decision can go, found without a look-up.
#[derive(Debug)]
struct Decisions {
    allowed: [Counter; Way::ALL.len()],
    refused: [Counter; Refusal::ALL.len()],
    undecided: [Counter; Outage::ALL.len()],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decision {
    decision: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resolve {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MeshRefusal {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MeshReload {
    outcome: &'static str,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portcullis_authz");
        let decisions = Decisions::new(&mut registry);
        let check_seconds = Durations::default();
        registry.register("check_seconds", "Time to decide a request", check_seconds.clone());
        let resolves = Family::default();
        registry.register("resolves", "Questions about a token to the control plane", resolves.clone());
        let resolve_seconds = Histogram::new(exponential_buckets(1e-4, 2.0, 14)); // 0.1 ms to 0.8 s
        registry.register(
            "resolve_seconds",
            "Time until the control plane answered",
            resolve_seconds.clone(),
        );
        let lag_seconds = Gauge::default();
        let help = "Since the replica was last known to be complete; +Inf before its first catch-up";
        registry.register("stream_lag_seconds", help, lag_seconds.clone());
        let clock_skew_seconds = Gauge::default();
        let help =
            "By how much this machine's clock is ahead of the control plane's, where that stops decisions";
        registry.register("clock_skew_seconds", help, clock_skew_seconds.clone());
        let applied = Gauge::default();
        registry.register("applied_sequence", "Last revocation entry in force", applied.clone());
        let head = Gauge::default();
        registry.register("head_sequence", "Last revocation entry heard of", head.clone());
        let records = Gauge::default();
        registry.register("records", "Token records in the store", records.clone());
        let tombstones = Gauge::default();
        registry.register("tombstones", "Revoked scopes that are remembered", tombstones.clone());
        let mesh_refusals = Family::default();
        registry.register(
            "mesh_refusals",
            "Connections and requests without the right certificate",
            mesh_refusals.clone(),
        );
        let mesh_reloads = Family::default();
        registry.register("mesh_reloads", "Looks at changed files of the mesh", mesh_reloads.clone());
        let mesh_certificate_expiry = Gauge::default();
        registry.register(
            "mesh_certificate_expiry_timestamp_seconds",
            "When the mesh's certificate in use ends; 0 where there is none",
            mesh_certificate_expiry.clone(),
        );
        Self {
            registry,
            decisions,
            check_seconds,
            resolves,
            resolve_seconds,
            lag_seconds,
            clock_skew_seconds,
            applied,
            head,
            records,
            tombstones,
            mesh_refusals,
            mesh_reloads,
            mesh_certificate_expiry,
        }
    }
}

impl Observer for Metrics {
    fn refused(&self, why: mesh::Refusal) {
        self.mesh_refusals.get_or_create(&MeshRefusal { reason: why.name() }).inc();
    }

    fn reread(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "failed" };
        self.mesh_reloads.get_or_create(&MeshReload { outcome }).inc();
    }

    fn expires(&self, at: Timestamp) {
        self.mesh_certificate_expiry.set(at.as_secs());
    }
}

impl Metrics {
    /// A request went through, or was denied.
    pub fn decided(&self, verdict: Result<Way, Denial>, took: Duration) {
        self.decisions.of(verdict).inc();
        self.check_seconds.observe(took);
    }

    /// A question to the control plane was answered, or not in time.
    pub fn resolved(&self, outcome: &'static str, took: Duration) {
        self.resolves.get_or_create(&Resolve { outcome }).inc();
        self.resolve_seconds.observe(took.as_secs_f64());
    }

    /// A question was not asked, because too many were on their way.
    pub fn resolve_refused(&self) {
        self.resolves.get_or_create(&Resolve { outcome: "refused" }).inc();
    }

    /// The text for a scrape.
    pub fn render(&self, figures: Figures) -> Result<String, fmt::Error> {
        self.lag_seconds.set(figures.age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        self.clock_skew_seconds.set(figures.skew.map_or(0.0, Skew::seconds));
        self.applied.set(figures.applied.0);
        self.head.set(figures.head.0);
        self.records.set(figures.records as u64);
        self.tombstones.set(figures.tombstones as u64);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

// === impl Decisions ===

impl Decisions {
    fn new(registry: &mut Registry) -> Self {
        let family = Family::<Decision, Counter>::default();
        registry.register("decisions", "Requests decided", family.clone());
        let counter = |decision, reason| family.get_or_create_owned(&Decision { decision, reason });
        Self {
            allowed: Way::ALL.map(|way| counter("allow", way.reason())),
            refused: Refusal::ALL.map(|refusal| counter("deny", refusal.reason())),
            undecided: Outage::ALL.map(|outage| counter("deny", outage.reason())),
        }
    }

    fn of(&self, verdict: Result<Way, Denial>) -> &Counter {
        match verdict {
            Ok(way) => &self.allowed[way as usize],
            Err(Denial::Refused(refusal)) => &self.refused[refusal as usize],
            Err(Denial::Undecided(outage)) => &self.undecided[outage as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_has_every_metric_under_its_name() {
        let metrics = Metrics::default();
        metrics.decided(Ok(Way::Allowed), Duration::from_micros(7));
        metrics.decided(Ok(Way::PassedThrough), Duration::from_micros(7));
        metrics.decided(Err(Refusal::Revoked.into()), Duration::from_micros(7));
        metrics.resolved("record", Duration::from_millis(1));
        metrics.refused(mesh::Refusal::Role);
        metrics.reread(false);
        metrics.expires(Timestamp::from_millis(5000));
        let text = metrics.render(Figures { records: 3, ..Figures::default() }).unwrap();
        for line in [
            r#"portcullis_authz_decisions_total{decision="deny",reason="store"} 0"#,
            r#"portcullis_authz_decisions_total{decision="allow",reason="allowed"} 1"#,
            r#"portcullis_authz_decisions_total{decision="allow",reason="passthrough"} 1"#,
            r#"portcullis_authz_decisions_total{decision="deny",reason="revoked"} 1"#,
            r#"portcullis_authz_resolves_total{outcome="record"} 1"#,
            "portcullis_authz_check_seconds_count 3",
            "portcullis_authz_resolve_seconds_count 1",
            "portcullis_authz_stream_lag_seconds inf",
            "portcullis_authz_clock_skew_seconds 0.0",
            "portcullis_authz_applied_sequence 0",
            "portcullis_authz_head_sequence 0",
            "portcullis_authz_records 3",
            "portcullis_authz_tombstones 0",
            r#"portcullis_authz_mesh_refusals_total{reason="role"} 1"#,
            r#"portcullis_authz_mesh_reloads_total{outcome="failed"} 1"#,
            "portcullis_authz_mesh_certificate_expiry_timestamp_seconds 5",
        ] {
            assert!(text.lines().any(|candidate| candidate == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_verdict_is_counted_under_its_own_reason() {
        let metrics = Metrics::default();
        let ways = Way::ALL.map(Ok).into_iter();
        let refusals = Refusal::ALL.map(|refusal| Err(refusal.into())).into_iter();
        let outages = Outage::ALL.map(|outage| Err(outage.into())).into_iter();
        for (verdict, times) in ways.chain(refusals).chain(outages).zip(1_u64..) {
            for _ in 0..times {
                metrics.decided(verdict, Duration::ZERO);
            }
            let reason = verdict.map_or_else(Denial::reason, Way::reason);
            let text = metrics.render(Figures::default()).unwrap();
            let line = format!(r#",reason="{reason}"}} {times}"#).replacen(',', "", 1);
            assert_eq!(text.lines().filter(|candidate| candidate.contains(&line)).count(), 1, "{reason}");
        }
    }
}

//! What is counted inside the mesh.

use portcullis_proto::mesh::{Observer, Refusal};
use portcullis_proto::time::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::OutcomeLabel;

/// Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct MeshMetrics {
    refusals: Family<ReasonLabel, Counter>,
    reloads: Family<OutcomeLabel, Counter>,
    expiry: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

// === impl MeshMetrics ===

impl MeshMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mesh_refusals",
            "Connections and requests without the right certificate",
            self.refusals.clone(),
        );
        registry.register("mesh_reloads", "Looks at changed files of the mesh", self.reloads.clone());
        registry.register(
            "mesh_certificate_expiry_timestamp_seconds",
            "When the mesh's certificate in use ends; 0 where there is none",
            self.expiry.clone(),
        );
    }
}

impl Observer for MeshMetrics {
    fn refused(&self, why: Refusal) {
        self.refusals.get_or_create(&ReasonLabel { reason: why.name() }).inc();
    }

    fn reread(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "failed" };
        self.reloads.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    fn expires(&self, at: Timestamp) {
        self.expiry.set(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
    }
}

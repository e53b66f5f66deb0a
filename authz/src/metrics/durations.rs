//! A histogram of durations that takes no lock: requests on different threads count at the same time. The metrics
//! library's own has a mutex.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Buckets but the last, which has no end. Each ends at twice the duration of the one before.
const BUCKETS: usize = 18;
/// The first bucket's end, in nanoseconds. The last one is 0.66 s.
const FIRST: u64 = 5_000;

/// How often something took how long. A copy is the same histogram.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BUCKETS + 1],
    /// In nanoseconds: enough for 584 years.
    sum: AtomicU64,
}

// === impl Durations ===

impl Durations {
    /// Counts one.
    pub(super) fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.buckets[bucket(nanos)].fetch_add(1, Relaxed);
        self.0.sum.fetch_add(nanos, Relaxed);
    }
}

/// The first bucket whose end is not before `nanos`.
fn bucket(nanos: u64) -> usize {
    let whole = nanos.saturating_sub(1) / FIRST;
    whole.checked_ilog2().map_or(0, |doublings| BUCKETS.min(doublings as usize + 1))
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let ends = (0..BUCKETS).map(|bucket| seconds(FIRST << bucket)).chain([f64::MAX]);
        let counts = self.0.buckets.each_ref().map(|count| count.load(Relaxed));
        let buckets: Vec<_> = ends.zip(counts).collect();
        let sum = seconds(self.0.sum.load(Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_does_not_exceed() {
        for (nanos, expected) in
            [(0, 0), (1, 0), (5_000, 0), (5_001, 1), (10_000, 1), (10_001, 2), (40_000, 3)]
        {
            assert_eq!(bucket(nanos), expected, "{nanos}");
        }
        assert_eq!(bucket(FIRST << (BUCKETS - 1)), BUCKETS - 1);
        assert_eq!(bucket((FIRST << (BUCKETS - 1)) + 1), BUCKETS);
        assert_eq!(bucket(u64::MAX), BUCKETS);
    }
}

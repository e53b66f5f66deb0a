//! All that is measured, one part after the other, and how much of each.

use std::time::Duration;

use portcullis_tests::programs::Place;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::ladder::Climbed;
use crate::{fan_out, floods, ladder, tokens};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    /// Of the ladder.
    pub ladder: ladder::Extent,
    /// Of bad tokens.
    pub floods: floods::Extent,
    /// Of what the control plane gives.
    pub tokens: tokens::Extent,
    /// Of revocations.
    pub fan_out: fan_out::Extent,
}

/// What came of a part, or why nothing did.
pub type Outcome<T> = Result<T, String>;

/// What came of all.
#[derive(Debug)]
pub struct Results {
    /// The ladder.
    pub ladder: Outcome<Climbed>,
    /// Bad tokens.
    pub floods: Outcome<Vec<floods::Sample>>,
    /// What the control plane gives.
    pub tokens: Outcome<Vec<(&'static str, Vec<tokens::Sample>)>>,
    /// Revocations.
    pub fan_out: Outcome<fan_out::Series>,
}

/// The longest that each part may take: much more than it does.
const PATIENCE: Duration = Duration::from_mins(20);

// === impl Extents ===

impl Extents {
    /// Enough for figures that mean something: some 15 minutes.
    pub fn full(peers: bool) -> Self {
        Self {
            ladder: ladder::Extent {
                records: 1_000_000,
                // Many and short: a machine that others use too changes its pace all the time, and stands still for some
                // milliseconds now and then. Of half a second that is more than a hundredth; but half of the rounds have none.
                rounds: 41,
                warm_up: Duration::from_mins(1),
                time: Duration::from_millis(400),
                paced_time: Duration::from_millis(500),
                connections: 32,
                rate: 2_000.0,
                peers,
            },
            floods: floods::Extent {
                records: 10_000,
                rounds: 7,
                time: Duration::from_secs(2),
                connections: 32,
                rate: 1_000.0,
                flood: 2_000.0,
            },
            // So short that no chain of refreshes gets as long as the pace of a grant allows at once (100).
            tokens: tokens::Extent { connections: 128, rounds: 5, time: Duration::from_millis(400) },
            fan_out: fan_out::Extent { instances: 1_000, rounds: 200 },
        }
    }

    /// Enough to see that it can be measured.
    pub fn smoke() -> Self {
        let (rounds, time) = (1, Duration::from_millis(100));
        Self {
            ladder: ladder::Extent {
                records: 100,
                rounds,
                warm_up: Duration::ZERO,
                time,
                paced_time: time,
                connections: 2,
                rate: 1.0,
                peers: false,
            },
            floods: floods::Extent { records: 100, rounds, time, connections: 2, rate: 50.0, flood: 50.0 },
            tokens: tokens::Extent { connections: 2, rounds, time },
            fan_out: fan_out::Extent { instances: 5, rounds: 3 },
        }
    }
}

/// Measures everything. What fails does not keep the rest from being measured.
pub async fn everything(extents: Extents) -> Results {
    Results {
        tokens: part("tokens", tokens::measure(extents.tokens)).await,
        fan_out: part(
            "fan-out",
            in_place(async move |place| fan_out::measure(&place, extents.fan_out).await),
        )
        .await,
        floods: part("floods", in_place(async move |place| floods::measure(&place, extents.floods).await))
            .await,
        ladder: part("ladder", in_place(async move |place| ladder::climb(&place, extents.ladder).await))
            .await,
    }
}

/// A measurement with a directory of its own, which is removed with everything in it.
pub async fn in_place<T>(measure: impl AsyncFnOnce(Place) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    let place = Place { directory: directory.path().to_owned(), own_groups: false };
    measure(place).await
}

/// On this thread, so that what a part has need not be fit for others.
async fn part<T: 'static>(name: &str, measured: impl Future<Output = T> + 'static) -> Outcome<T> {
    eprintln!("--- {name}");
    let here = LocalSet::new();
    let task = here.spawn_local(measured);
    match here.run_until(timeout(PATIENCE, task)).await {
        Ok(Ok(measured)) => Ok(measured),
        Ok(Err(failed)) => Err(failed.to_string()),
        Err(_) => Err(format!("took longer than {PATIENCE:?}")),
    }
}

/// Lets this process, and all that it starts, open as many files as the system allows: a thousand instances have a
/// connection each.
pub fn raise_limits() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    // Where it cannot be had, what needs it says so.
    let _ = setrlimit(Resource::Nofile, files);
}

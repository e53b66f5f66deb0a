//! gRPC health (`grpc.health.v1`), which Envoy asks before it sends requests here.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use portcullis_proto::time::Clock;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::info;

use crate::check::Checker;
use crate::ext_authz::AuthorizationServer;
use crate::replica::Replica;

/// How long a change may go unnoticed.
const EVERY: Duration = Duration::from_millis(100);

/// Both names that are asked for: the service's own, and that of the whole process.
const SERVICES: [&str; 2] = [<AuthorizationServer<Checker> as NamedService>::NAME, ""];

/// Reports what the replica is able to do until `shutdown`, and from then on that this instance is going.
pub async fn follow(
    reporter: &HealthReporter,
    replica: &Replica,
    clock: &dyn Clock,
    shutdown: &CancellationToken,
) -> Infallible {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = false;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let ready = replica.ready(clock.now()).is_ok();
        if ready != last {
            info!(ready, "readiness changed");
            report(reporter, ready).await;
            last = ready;
        }
    }
    report(reporter, false).await;
    pending().await
}

/// Says whether to send requests here.
pub async fn report(reporter: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

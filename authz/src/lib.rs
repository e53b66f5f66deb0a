//! Envoy's `ext_authz` service: decides from its own store.
//!
//! Envoy asks about every request to an MCP server ([`check`], read that first). What Envoy says is read
//! in [`request`]; what the token is, the [`replica`] knows, or asks the control plane once; whether it will
//! do, [`decide`] says, a pure function; the provider's credential is opened in [`credential`] with the
//! caller's own token; and [`respond`] tells Envoy. Tokens of the MCP server's own kind, where it is configured to
//! get them unchanged, are [`passthrough`]'s.
//!
//! Beside the requests, the replica follows the control plane's revocation log. While it cannot, requests
//! are decided for `max_staleness` by what is known, then with 503.

pub mod catalog;
pub mod check;
pub mod config;
pub mod credential;
pub mod decide;
pub mod ext_authz;
pub mod health;
pub mod metrics;
pub mod neighbourhood;
pub mod ops;
pub mod passthrough;
pub mod pieces;
pub mod replica;
pub mod request;
pub mod respond;
pub mod serve;
pub mod services;
pub mod telemetry;
#[cfg(test)]
mod testing;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Uri;
use portcullis_proto::mesh::{self, Guard, MeshError, Role};
use portcullis_proto::random::{Random, SystemRandom};
use portcullis_proto::time::{Clock, SystemClock};
use portcullis_proto::v1::replica_client::ReplicaClient;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tracing::info;

use check::Checker;
use config::Config;
use ext_authz::AuthorizationServer;
use metrics::Metrics;
use ops::Ops;
use replica::Replica;
use replica::resolve::Resolver;
use replica::store::{OpenError, Store, StoreError};
use replica::sync::Sync;
use serve::{Mesh, ServeError, serve};
use services::Services;

/// Where requests come in.
#[derive(Debug)]
pub struct Listeners {
    /// Envoy's.
    pub grpc: TcpListener,
    /// The operators'.
    pub ops: TcpListener,
}

/// Why the service ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// The certificate, its key or its authority.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed while the service ran. The log says how.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Envoy cannot be served.
    #[error("gRPC: {0}")]
    Grpc(#[from] ServeError),
    /// Operators cannot be served.
    #[error("ops: {0}")]
    Ops(#[source] io::Error),
}

/// Serves until `shutdown`, then lets requests under way finish and closes the store.
pub async fn run(config: Config, listeners: Listeners, shutdown: CancellationToken) -> Result<(), RunError> {
    info!(instance = %config.instance, store = %config.store.display(), "starting");
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::default());
    let identity = config.mesh.open(Role::Authz, clock.now())?.map(Arc::new);
    let (store, loaded) = Store::open(&config.store, config.max_records)?;
    let replica = Arc::new(Replica::new(store, &loaded, config.max_staleness, &*random));
    // Revocations come on a connection of their own: no number of questions stands before them.
    let endpoint = endpoint(config.control_plane);
    let connect = || ReplicaClient::new(mesh::channel(&endpoint, identity.clone(), Role::ControlPlane));
    let resolver = Arc::new(Resolver::new(connect(), replica.clone(), metrics.clone()));
    let checker = Checker::new(replica.clone(), resolver, clock.clone(), metrics.clone());
    let sync = Sync::new(replica.clone(), connect(), config.instance, clock.clone(), random);
    let ops = Ops {
        replica: replica.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        shutdown: shutdown.clone(),
    };
    let health = HealthReporter::new();
    health::report(&health, false).await;

    let mesh = Mesh { identity: identity.clone(), observer: metrics.clone() };
    let health_service = HealthServer::new(HealthService::from_health_reporter(health.clone()));
    // Where nobody has to show anything, the guard has nothing to look at.
    let guard = Guard::new(mesh.identity.is_some(), Role::Edge, mesh.observer.clone());
    let services = Services::new(AuthorizationServer::new(checker), guard, Routes::new(health_service));

    let stop = shutdown.child_token();
    let mut serving = pin!(serve(listeners.grpc, services, config.threads, mesh, &stop));
    let ended = tokio::select! {
        ended = &mut serving => ended.map_err(RunError::from),
        error = async {
            tokio::select! {
                never = mesh::follow(identity.as_deref(), &*clock, &*metrics) => match never {},
                error = serve_ops(listeners.ops, ops::router(ops)) => error,
                error = sync.run() => error.into(),
                error = replica::sweep::run(replica.clone(), clock.clone()) => error.into(),
                () = replica.store().failed() => StoreError::Stopped.into(),
                never = health::follow(&health, &replica, &*clock, &shutdown) => match never {},
            }
        } => {
            // Not without the threads: they use what is about to go.
            stop.cancel();
            let _ = serving.await;
            Err(error)
        }
    };
    replica.store().close().await;
    info!("stopped");
    ended
}

/// How the control plane is connected to, and how soon a lost connection is noticed.
pub fn endpoint(control_plane: Uri) -> Endpoint {
    Endpoint::from(control_plane)
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(3))
        .keep_alive_while_idle(true)
}

/// Answers operators for as long as the process lives.
async fn serve_ops(listener: TcpListener, router: Router) -> RunError {
    match axum::serve(listener, router).await {
        Err(error) => RunError::Ops(error),
        Ok(()) => RunError::Ops(io::Error::other("the listener has gone")),
    }
}

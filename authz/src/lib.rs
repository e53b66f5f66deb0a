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
pub mod ops;
pub mod passthrough;
pub mod replica;
pub mod request;
pub mod respond;
pub mod serve;
pub mod telemetry;
#[cfg(test)]
mod testing;

use std::io;
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
    let channel = mesh::channel(&endpoint(config.control_plane), identity.clone(), Role::ControlPlane);
    let client = ReplicaClient::new(channel);
    let resolver = Arc::new(Resolver::new(client.clone(), replica.clone(), metrics.clone()));
    let checker = Checker::new(replica.clone(), resolver, clock.clone(), metrics.clone());
    let sync = Sync::new(replica.clone(), client, config.instance, clock.clone(), random);
    let ops = Ops {
        replica: replica.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        shutdown: shutdown.clone(),
    };
    let health = HealthReporter::new();
    health::report(&health, false).await;

    let mesh = Mesh { identity: identity.clone(), observer: metrics.clone() };
    let routes = routes(checker, &health, &mesh);

    let ended = tokio::select! {
        ended = serve(listeners.grpc, routes, config.threads, mesh, &shutdown) => ended.map_err(RunError::from),
        never = mesh::follow(identity.as_deref(), &*clock, &*metrics) => match never {},
        error = serve_ops(listeners.ops, ops::router(ops)) => Err(error),
        error = sync.run() => Err(error.into()),
        error = replica::sweep::run(replica.clone(), clock.clone()) => Err(error.into()),
        () = replica.store().failed() => Err(StoreError::Stopped.into()),
        never = health::follow(&health, &replica, &*clock, &shutdown) => match never {},
    };
    replica.store().close().await;
    info!("stopped");
    ended
}

/// What Envoy may ask: for decisions, where it shows that it is the edge, and for health.
fn routes(checker: Checker, health: &HealthReporter, mesh: &Mesh) -> Routes {
    let routes = Routes::new(HealthServer::new(HealthService::from_health_reporter(health.clone())));
    if mesh.identity.is_none() {
        return routes.add_service(AuthorizationServer::new(checker)); // nobody shows anything
    }
    let guard = Guard::new(true, Role::Edge, mesh.observer.clone());
    routes.add_service(AuthorizationServer::with_interceptor(checker, guard))
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

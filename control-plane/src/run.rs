//! Runs the control plane: its three listeners and its upkeep, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use portcullis_proto::v1::admin_server::AdminServer;
use portcullis_proto::v1::replica_server::ReplicaServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use crate::app::App;
use crate::config::Listen;
use crate::grpc::admin::AdminService;
use crate::grpc::replica::ReplicaService;
use crate::http::{ops, router};

/// How long requests and streams may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How often rows are removed that can mean nothing any more.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How many of them at a time.
const SWEEP_BATCH: usize = 5_000;

/// Bound listeners.
#[derive(Debug)]
pub struct Listeners {
    /// The OAuth surface.
    pub http: TcpListener,
    /// Replica and Admin.
    pub grpc: TcpListener,
    /// Health and metrics.
    pub ops: TcpListener,
}

// === impl Listeners ===

impl Listeners {
    /// Binds them. The error names the address.
    pub async fn bind(listen: &Listen) -> io::Result<Self> {
        Ok(Self {
            http: bind("listen.http", listen.http).await?,
            grpc: bind("listen.grpc", listen.grpc).await?,
            ops: bind("listen.ops", listen.ops).await?,
        })
    }
}

async fn bind(key: &str, address: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{key}: {address}: {error}"));
    TcpListener::bind(address).await.map_err(named)
}

/// Serves until `shutdown` is cancelled, then lets what is under way end. Returns early only with an error.
pub async fn run(app: Arc<App>, listeners: Listeners, shutdown: CancellationToken) -> io::Result<()> {
    let streams = TaskTracker::new();
    let sweeper = tokio::spawn(sweep(app.clone(), shutdown.clone()));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ReplicaServer<ReplicaService>>().await;
    let grpc = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .add_service(health_service)
        .add_service(ReplicaServer::new(ReplicaService::new(app.clone(), streams.clone(), shutdown.clone())))
        .add_service(AdminServer::new(AdminService::new(app.clone())))
        .serve_with_incoming_shutdown(
            TcpListenerStream::new(listeners.grpc),
            shutdown.clone().cancelled_owned(),
        );
    let serving = async {
        tokio::try_join!(
            serve(listeners.http, router::router(app.clone()), &shutdown),
            serve(listeners.ops, ops::router(app.clone()), &shutdown),
            async { grpc.await.map_err(io::Error::other) },
        )
    };
    let out_of_time = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => { served?; }
        () = out_of_time => tracing::warn!("stopping although some requests have not ended"),
    }
    streams.close();
    streams.wait().await;
    sweeper.abort();
    Ok(())
}

async fn serve(listener: TcpListener, router: Router, shutdown: &CancellationToken) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned()).await
}

/// Removes what has expired, so that disk use follows what is alive.
async fn sweep(app: Arc<App>, shutdown: CancellationToken) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = every.tick() => {}
        }
        match app.store.sweep(app.now(), SWEEP_BATCH).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "swept"),
            Err(error) => tracing::error!(%error, "sweeping failed"),
        }
    }
}

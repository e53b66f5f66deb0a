//! Runs the control plane: its three listeners and its upkeep, until it is told to stop.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use portcullis_proto::mesh::{self, Guard, Observer, Role};
use portcullis_proto::v1::admin_server::AdminServer;
use portcullis_proto::v1::replica_server::ReplicaServer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::server::NamedService;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::Router as Grpc;
use tonic_health::server::HealthReporter;

use crate::app::App;
use crate::config::Listen;
use crate::credential::files;
use crate::grpc::admin::AdminService;
use crate::grpc::replica::ReplicaService;
use crate::http::edge_listener::EdgeListener;
use crate::http::{ops, router};
use crate::serve::{Bounds, serve};
use crate::{rewrap, upkeep};

/// How long requests and streams may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How often a gRPC connection is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Calls and streams that one gRPC connection may have open; more wait at the caller's end.
const CONCURRENT_STREAMS: u32 = 1_000;
/// Longest gRPC request, in bytes: all that an instance or operator says is short.
const MAX_REQUEST: usize = 64 * 1024;

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
    let observer = observer(&app);
    let inside = |listener| mesh::connections(connections(listener), app.identity.clone(), observer.clone());
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ReplicaServer<ReplicaService>>().await;
    let grpc = grpc(&app, streams.clone(), shutdown.clone())
        .add_service(health_service)
        .serve_with_incoming_shutdown(inside(listeners.grpc), shutdown.clone().cancelled_owned());
    let http = EdgeListener::new(inside(listeners.http), observer.clone());
    let bounds = Bounds::default();
    // All in this one task: where one of them panics, the process ends and says so.
    let serving = async {
        tokio::try_join!(
            serve(http, router::router(app.clone()), bounds, &app.metrics, &shutdown),
            serve(listeners.ops, ops::router(app.clone()), bounds, &app.metrics, &shutdown),
            async { grpc.await.map_err(io::Error::other) },
            async {
                end_health(health, &shutdown).await;
                Ok(())
            },
            async { upkeep::run(&app, &shutdown).await.map_err(io::Error::other) },
            async {
                files::follow(&app, &shutdown).await;
                Ok(())
            },
            async {
                rewrap::run(&app, &shutdown).await;
                Ok(())
            },
            async {
                let follow = mesh::follow(app.identity.as_deref(), &*app.clock, &*observer);
                shutdown.run_until_cancelled(follow).await.map_or(Ok(()), |never| match never {})
            },
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
    let finish = async { tokio::join!(app.upstreams.finish(), app.registrations.finish()) };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        tracing::warn!("stopping although a provider has not answered a refresh or a registration");
    }
    Ok(())
}

/// The Replica and Admin services. Where there is TLS, only authz may call the one, and only operators the other. Watch streams are counted in `streams`, and end when `shutdown` is cancelled.
pub fn grpc(app: &Arc<App>, streams: TaskTracker, shutdown: CancellationToken) -> Grpc {
    let replica = ReplicaService::new(app.clone(), streams, shutdown);
    let replica = ReplicaServer::new(replica).max_decoding_message_size(MAX_REQUEST);
    let admin = AdminServer::new(AdminService::new(app.clone())).max_decoding_message_size(MAX_REQUEST);
    let guard = |role| Guard::new(app.identity.is_some(), role, observer(app));
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_concurrent_streams(CONCURRENT_STREAMS)
        // After a pause, those who have given up meanwhile take nobody's connection along.
        .http2_max_pending_accept_reset_streams(Some(CONCURRENT_STREAMS as usize))
        .add_service(InterceptedService::new(replica, guard(Role::Authz)))
        .add_service(InterceptedService::new(admin, guard(Role::Admin)))
}

fn observer(app: &App) -> Arc<dyn Observer> {
    Arc::new(app.metrics.mesh.clone())
}

/// Accepted connections for tonic. Where accepting fails, as it does while there are no file descriptors left,
/// tonic would ask again at once and without end; axum's listener pauses.
fn connections(mut listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                (stream, _) = Listener::accept(&mut listener) => stream,
                () = sender.closed() => return,
            };
            // A revocation is a small message that must not wait for the acknowledgement of the one before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
            if sender.send(Ok(stream)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// Ends the streams of those who watch our health, which would otherwise never end.
async fn end_health(mut health: HealthReporter, shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    health.clear_service_status("").await;
    health.clear_service_status(ReplicaServer::<ReplicaService>::NAME).await;
}

//! Answers Envoy.
//!
//! Checks run on threads of their own, each with a runtime that has no other: a check never moves between
//! cores and never waits for anything but the control plane, so the scheduler that would spread it costs more than
//! the check. Connections are dealt out in turn; Envoy opens one for each of its own threads.

use std::io;
use std::net::TcpStream as StdStream;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use portcullis_proto::mesh::{Identity, Observer, connections};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::warn;

/// How long requests under way may take once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Requests at a time on one of Envoy's connections.
const MAX_STREAMS: u32 = 1024;
/// Connections that wait for a thread to take them.
const BACKLOG: usize = 64;
/// Before the next attempt to accept a connection, where one has failed: there may be no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Who may connect, and who hears of those that may not.
#[derive(Clone)]
pub struct Mesh {
    /// What this process is; `None` where connections are in the clear.
    pub identity: Option<Arc<Identity>>,
    /// Is told.
    pub observer: Arc<dyn Observer>,
}

/// Why Envoy is not answered any more.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A thread, or the runtime in it, could not be made.
    #[error("no thread to answer on: {0}")]
    Thread(#[source] io::Error),
    /// The server failed.
    #[error(transparent)]
    Server(#[from] tonic::transport::Error),
    /// A thread has ended without being told to.
    #[error("a thread that answered has gone")]
    Gone,
}

/// Answers on `threads` threads until `shutdown`, and then the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    threads: NonZeroUsize,
    mesh: Mesh,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
    let (mut connections, mut answering) = (Vec::new(), JoinSet::new());
    for number in 0..threads.get() {
        let (connection, received) = mpsc::channel(BACKLOG);
        connections.push(connection);
        let ended = start(number, received, routes.clone(), mesh.clone(), shutdown.clone())?;
        answering.spawn(async { ended.await.unwrap_or(Err(ServeError::Gone)) });
    }
    tokio::select! {
        () = deal(&listener, &connections) => {}
        () = shutdown.cancelled() => {}
        Some(ended) = answering.join_next() => ended.unwrap_or(Err(ServeError::Gone))?,
    }
    drop((listener, connections));
    while let Some(ended) = answering.join_next().await {
        ended.unwrap_or(Err(ServeError::Gone))?;
    }
    Ok(())
}

/// Accepts connections for ever, and gives each to the next thread.
async fn deal(listener: &TcpListener, connections: &[mpsc::Sender<StdStream>]) {
    for worker in connections.iter().cycle() {
        match accept(listener).await {
            // One that has gone is noticed by `serve`.
            Ok(connection) => drop(worker.send(connection).await),
            Err(error) => {
                warn!(%error, "a connection cannot be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// A connection that any thread's runtime can take over.
async fn accept(listener: &TcpListener) -> io::Result<StdStream> {
    let (connection, _) = listener.accept().await?;
    connection.set_nodelay(true)?;
    connection.into_std()
}

/// Answers on the current thread.
async fn answer(
    received: mpsc::Receiver<StdStream>,
    routes: Routes,
    mesh: Mesh,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
    let incoming = ReceiverStream::new(received).map(TcpStream::from_std);
    let server = Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            connections(incoming, mesh.identity, mesh.observer),
            shutdown.clone().cancelled_owned(),
        );
    let drained = async {
        shutdown.cancelled().await;
        sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server => Ok(ended?),
        () = drained => {
            warn!("requests were still under way after {DRAIN:?}");
            Ok(())
        }
    }
}

/// Begins to answer on a new thread. What is returned tells how that has ended.
fn start(
    number: usize,
    received: mpsc::Receiver<StdStream>,
    routes: Routes,
    mesh: Mesh,
    shutdown: CancellationToken,
) -> Result<oneshot::Receiver<Result<(), ServeError>>, ServeError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Thread)?;
    let (end, ended) = oneshot::channel();
    let work = move || {
        let result = runtime.block_on(answer(received, routes, mesh, &shutdown));
        let _ = end.send(result); // nobody waits for it where another thread has failed
    };
    thread::Builder::new().name(format!("check-{number}")).spawn(work).map_err(ServeError::Thread)?;
    Ok(ended)
}

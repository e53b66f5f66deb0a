//! Answers Envoy.
//!
//! Checks run on threads of their own, each with a runtime that has no other: a check never moves between
//! cores and never waits for anything but the control plane, so the scheduler that would spread it costs more than
//! the check. Connections are dealt out in turn; Envoy opens one for each of its own threads.

use std::convert::Infallible;
use std::io;
use std::net::TcpStream as StdStream;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::Service as HyperService;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use portcullis_proto::mesh::{Identity, Observer, Peer, connections};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use crate::pieces::Pieces;

/// How long requests under way may take once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Requests at a time on one of Envoy's connections.
const MAX_STREAMS: u32 = 1024;
/// How long a connection is silent before it is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
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

/// What answers.
pub trait Services:
    Service<Request<Body>, Response = Response<Pieces>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Services for S where
    S: Service<Request<Body>, Response = Response<Pieces>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Why Envoy is not answered any more.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A thread, or the runtime in it, could not be made.
    #[error("no thread to answer on: {0}")]
    Thread(#[source] io::Error),
    /// A thread has ended without being told to.
    #[error("a thread that answered has gone")]
    Gone,
}

/// Answers on `threads` threads until `shutdown`, and then the requests that are under way. When this returns, no thread is
/// left, however it has ended.
pub async fn serve<S: Services>(
    listener: TcpListener,
    services: S,
    threads: NonZeroUsize,
    mesh: Mesh,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
    let stop = shutdown.child_token();
    let (mut connections, mut answering) = (Vec::new(), JoinSet::new());
    let mut outcome = Ok(());
    for number in 0..threads.get() {
        let (connection, received) = mpsc::channel(BACKLOG);
        match start(number, received, services.clone(), mesh.clone(), stop.clone()) {
            Ok(ended) => answering.spawn(async { ended.await.map_err(|_| ServeError::Gone) }),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        connections.push(connection);
    }
    if outcome.is_ok() {
        tokio::select! {
            () = deal(&listener, &connections) => {}
            () = stop.cancelled() => {}
            // Nothing but `stop` ends a thread that has nothing wrong with it.
            Some(ended) = answering.join_next() => outcome = flat(ended).and(Err(ServeError::Gone)),
        }
    }
    drop((listener, connections));
    stop.cancel();
    while let Some(ended) = answering.join_next().await {
        outcome = outcome.and(flat(ended));
    }
    outcome
}

fn flat(ended: Result<Result<(), ServeError>, JoinError>) -> Result<(), ServeError> {
    ended.unwrap_or(Err(ServeError::Gone))
}

/// Accepts connections for ever, and gives each to a thread.
async fn deal(listener: &TcpListener, threads: &[mpsc::Sender<StdStream>]) {
    let mut next = 0;
    loop {
        match accept(listener).await {
            Ok(connection) => {
                if !give(connection, threads, &mut next) {
                    warn!("no thread takes a connection");
                }
            }
            Err(error) => {
                warn!(%error, "a connection cannot be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Puts something into the next queue that is empty, else into the next that has room: a thread that is stuck gets no more
/// while others are well. One that has gone is noticed by [`serve`]. Whether any had room.
fn give<T>(thing: T, queues: &[mpsc::Sender<T>], next: &mut usize) -> bool {
    let in_turn = (0..queues.len()).map(|turn| (*next + turn) % queues.len());
    let is_empty = |number: &usize| queues[*number].capacity() == queues[*number].max_capacity();
    let empty = in_turn.clone().filter(is_empty);
    let mut thing = thing;
    for number in empty.chain(in_turn) {
        match queues[number].try_send(thing) {
            Ok(()) => {
                *next = number + 1;
                return true;
            }
            Err(TrySendError::Full(back) | TrySendError::Closed(back)) => thing = back,
        }
    }
    false
}

/// A connection that any thread's runtime can take over.
async fn accept(listener: &TcpListener) -> io::Result<StdStream> {
    let (connection, _) = listener.accept().await?;
    connection.set_nodelay(true)?;
    connection.into_std()
}

/// Answers on the current thread: nothing but HTTP/2, and without what tonic's own server puts around a service, which is
/// boxes, and a timer for each request. A check needs none: it waits for nothing longer than for its question's deadline, and
/// ends when Envoy has given up.
async fn answer<S: Services>(
    received: mpsc::Receiver<StdStream>,
    services: S,
    mesh: Mesh,
    shutdown: &CancellationToken,
) {
    let mut http2 = Builder::new(TokioExecutor::new());
    http2.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS).keep_alive_interval(KEEP_ALIVE);
    http2.auto_date_header(false); // Envoy reads it with every answer, and nobody asks what it says
    // Whoever sends and cancels requests at the edge has Envoy do so here, on a connection that all share. By default the
    // 21st that comes too soon ends it.
    http2.max_pending_accept_reset_streams(MAX_STREAMS as usize);
    let serving = GracefulShutdown::new();
    let serve = async |incoming| {
        let mut connections = pin!(connections(incoming, mesh.identity, mesh.observer));
        while let Some(connection) = connections.next().await {
            match connection {
                Ok(connection) => {
                    let service = of_peer(services.clone(), connection.peer());
                    let connection = http2.serve_connection(TokioIo::new(connection), service);
                    let connection = serving.watch(connection);
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            debug!(?error, "a connection broke off");
                        }
                    });
                }
                Err(error) => debug!(%error, "a connection was lost before it was served"),
            }
        }
    };
    // Whoever is not served yet by then is not kept waiting for those who are.
    tokio::select! {
        () = serve(ReceiverStream::new(received).map(TcpStream::from_std)) => {}
        () = shutdown.cancelled() => {}
    }
    if timeout(DRAIN, serving.shutdown()).await.is_err() {
        warn!("requests were still under way after {DRAIN:?}");
    }
}

/// The services, for the requests of one connection: each says whose it is.
fn of_peer<S: Services>(
    services: S,
    peer: Peer,
) -> impl HyperService<Request<Incoming>, Response = Response<Pieces>, Error = Infallible, Future: Send> {
    TowerToHyperService::new(services.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    }))
}

/// Begins to answer on a new thread. What is returned tells how that has ended.
fn start<S: Services>(
    number: usize,
    received: mpsc::Receiver<StdStream>,
    services: S,
    mesh: Mesh,
    shutdown: CancellationToken,
) -> Result<oneshot::Receiver<()>, ServeError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Thread)?;
    let (end, ended) = oneshot::channel();
    let work = move || {
        runtime.block_on(answer(received, services, mesh, &shutdown));
        let _ = end.send(()); // nobody waits for it where another thread has failed
    };
    thread::Builder::new().name(format!("check-{number}")).spawn(work).map_err(ServeError::Thread)?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_stuck_gets_one_connection_and_no_more_while_others_are_well() {
        let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel(4)).unzip();
        let mut next = 0;
        let mut given = [0_u32; 3];
        for connection in 0..30 {
            assert!(give(connection, &senders, &mut next));
            for number in [0, 2] {
                while receivers[number].try_recv().is_ok() {
                    given[number] += 1;
                }
            }
        }
        assert_eq!(receivers[1].len(), 1);
        assert_eq!(given[0] + given[2], 29);
        assert!(given[0].abs_diff(given[2]) <= 1, "{given:?}");
    }

    #[test]
    fn whoever_has_room_gets_what_is_left_and_then_nobody() {
        let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel(2)).unzip();
        let mut next = 0;
        assert!((0..4).all(|connection| give(connection, &senders, &mut next)));
        assert!(!give(4, &senders, &mut next));
        receivers[1].try_recv().unwrap();
        assert!(give(5, &senders, &mut next));
        drop(receivers);
        assert!(!give(6, &senders, &mut next));
    }
}

//! HTTP connections, with bounds that axum's own server has not: on their number, and on the time that a request's head
//! may take. Envoy has such bounds for its own peers; these are for whoever reaches the listener beside it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::limit::Limit;
use crate::metrics::Metrics;

/// Longest head of a request, in bytes; twice what the edge lets through.
const MAX_HEAD: usize = 64 * 1024;

/// Most headers of a request: as many as the edge lets through.
const MAX_HEADERS: usize = 100;

/// What one listener's connections are held to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long a connection may take from its beginning, or the end of the answer before, to the end of the next
    /// request's head: 30 s. Envoy closes connections that are idle before that.
    pub head: Duration,
    /// Most connections: 4,096. More wait to be accepted.
    pub connections: usize,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), connections: 4096 }
    }
}

/// Serves HTTP/1.1 until `shutdown` is cancelled, and then until every request that is under way has its answer.
pub async fn serve<L>(
    mut listener: L,
    router: Router,
    bounds: Bounds,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) -> io::Result<()>
where
    L: Listener,
{
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    builder.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let (graceful, room) = (GracefulShutdown::new(), Arc::new(Semaphore::new(bounds.connections)));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&mut listener, &room, metrics) => accepted,
            () = shutdown.cancelled() => break,
        };
        let Some((stream, place)) = accepted else { break };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        let reached = metrics.limits_reached.clone();
        tokio::spawn(async move {
            match connection.await {
                Ok(()) => {}
                Err(error) if error.is_timeout() => Metrics::count_limit(&reached, Limit::Head),
                Err(error) => tracing::debug!(%error, "a connection broke off"),
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

/// The next connection, once there is room for it. Axum's listener pauses where accepting fails.
async fn accept<L: Listener>(
    listener: &mut L,
    room: &Arc<Semaphore>,
    metrics: &Metrics,
) -> Option<(L::Io, OwnedSemaphorePermit)> {
    if room.available_permits() == 0 {
        metrics.reached(Limit::Connections);
    }
    let place = room.clone().acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await;
    Some((stream, place))
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(300);
    const DEADLINE: Duration = Duration::from_secs(10);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    struct Served {
        address: std::net::SocketAddr,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn served(bounds: Bounds) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let metrics = Arc::<Metrics>::default();
        let (counted, stop) = (metrics.clone(), shutdown.clone());
        let router = Router::new().route("/", get(|| async { "here" }));
        let task = tokio::spawn(async move { serve(listener, router, bounds, &counted, &stop).await });
        Served { address, metrics, shutdown, task }
    }

    /// Sends, and reads until there is `end` or the other side has closed.
    async fn exchange(stream: &mut TcpStream, bytes: &[u8], end: &str) -> String {
        stream.write_all(bytes).await.unwrap();
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        let reading = async {
            while !String::from_utf8_lossy(&read).contains(end) {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => read.extend_from_slice(&buffer[..count]),
                }
            }
        };
        timeout(DEADLINE, reading).await.expect("neither an answer nor an end");
        String::from_utf8(read).unwrap()
    }

    #[tokio::test]
    async fn t17_whoever_dawdles_over_a_head_is_closed_here_too() {
        let served = served(Bounds { head: SOON, ..Bounds::default() }).await;
        for begun in [b"".as_slice(), b"GET / HTTP/1.1\r\nx-slow: ", b"PRI * HTTP/2.0\r\n"] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            let answer = exchange(&mut stream, begun, "nothing ends this").await;
            assert!(!answer.contains("200 OK"), "{answer}");
        }
        let mut prompt = TcpStream::connect(served.address).await.unwrap();
        for _ in 0..2 {
            assert!(exchange(&mut prompt, REQUEST, "here").await.starts_with("HTTP/1.1 200 OK"));
        }
        let text = served.metrics.encode();
        assert!(text.contains("portcullis_limits_reached_total{limit=\"head\"}"), "{text}");
    }

    #[tokio::test]
    async fn t15_heads_are_bounded_here_too() {
        let served = served(Bounds::default()).await;
        let many = (0..101).map(|number| format!("x-{number}: 1\r\n")).collect::<Vec<_>>().concat();
        let long = format!("x-long: {}\r\n", "x".repeat(2 * MAX_HEAD));
        for headers in [many, long] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
            let answer = exchange(&mut stream, request.as_bytes(), "\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
    }

    #[tokio::test]
    async fn t17_one_connection_too_many_waits_until_another_ends() {
        let served = served(Bounds { connections: 1, ..Bounds::default() }).await;
        let mut first = TcpStream::connect(served.address).await.unwrap();
        exchange(&mut first, REQUEST, "here").await;
        let mut second = TcpStream::connect(served.address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        assert!(timeout(SOON, second.read(&mut [0; 1])).await.is_err(), "served beside the first");
        drop(first);
        assert!(exchange(&mut second, b"", "here").await.starts_with("HTTP/1.1 200 OK"));
        assert!(served.metrics.encode().contains("limit=\"connections\""));
    }

    #[tokio::test]
    async fn told_to_stop_it_lets_idle_connections_go() {
        let served = served(Bounds::default()).await;
        let mut idle = TcpStream::connect(served.address).await.unwrap();
        exchange(&mut idle, REQUEST, "here").await;
        served.shutdown.cancel();
        timeout(DEADLINE, served.task).await.expect("it stops").unwrap().unwrap();
        assert_eq!(exchange(&mut idle, b"", "nothing ends this").await, "");
        TcpStream::connect(served.address).await.unwrap_err();
    }
}

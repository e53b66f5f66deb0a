//! The load: requests over HTTP/1.1 connections that stay open, as fast as they are answered or at a fixed rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// A request, by its number. No two numbers need give the same.
pub type Requests = Arc<dyn Fn(u64) -> Request<Empty<Bytes>> + Send + Sync>;

/// What is done to an address.
#[derive(Clone)]
pub struct Load {
    /// Where.
    pub address: SocketAddr,
    /// With what.
    pub requests: Requests,
    /// What every answer must be.
    pub expected: StatusCode,
    /// At a time.
    pub connections: usize,
    /// In all, a second; as many as are answered, if there is none.
    pub rate: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// How long each took, in order of duration. At a fixed rate, from when it was due.
    pub latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub took: Duration,
}

// === impl Load ===

impl Load {
    /// Goes on for about `time`. Panics where an answer is not what it must be: nothing was measured then.
    pub async fn run(&self, time: Duration) -> Answers {
        let began = Instant::now();
        let mut connections = JoinSet::new();
        for connection in 0..self.connections {
            connections.spawn(self.clone().connection(connection as u64, began, began + time));
        }
        let mut latencies: Vec<_> = connections.join_all().await.into_iter().flatten().collect();
        let took = began.elapsed();
        latencies.sort_unstable();
        Answers { latencies, took }
    }

    async fn connection(self, number: u64, began: Instant, until: Instant) -> Vec<Duration> {
        let mut sender = connect(self.address).await;
        let (mut latencies, connections) = (Vec::new(), self.connections as u64);
        for turn in 0.. {
            let request = turn * connections + number;
            let due = match self.rate {
                Some(rate) => began + Duration::from_secs_f64(request as f64 / rate),
                None => Instant::now(),
            };
            if due >= until {
                break;
            }
            sleep_until(due).await;
            let response = sender.send_request((self.requests)(request)).await.unwrap();
            assert_eq!(response.status(), self.expected, "{}", self.address);
            response.into_body().collect().await.unwrap();
            latencies.push(due.elapsed());
            sender.ready().await.unwrap();
        }
        latencies
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

// === impl Answers ===

impl Answers {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that so many percent do not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        let last = self.latencies.len() - 1;
        self.latencies[(last as f64 * percent / 100.0).round() as usize]
    }
}

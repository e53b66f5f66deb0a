//! The load: requests over HTTP/1.1 connections that stay open, as fast as they are answered or at a fixed rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// A request, by its number. No two numbers need give the same.
pub type Requests = Arc<dyn Fn(u64) -> Request<Full<Bytes>> + Send + Sync>;

/// What is done to an address.
#[derive(Clone)]
pub struct Load {
    /// Where.
    pub address: SocketAddr,
    /// With what.
    pub requests: Requests,
    /// What an answer may be: the first is what is hoped for.
    pub expected: &'static [StatusCode],
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
    /// How many were not what was hoped for.
    pub refused: usize,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// Whoever asks over a connection of its own, each time after the answer to what it asked before.
pub trait Caller: Send + 'static {
    /// The next request.
    fn ask(&mut self) -> Request<Full<Bytes>>;

    /// What the next one may depend on.
    fn hear(&mut self, answer: &Bytes);
}

/// How much longer than it was told a load that cannot keep to its rate goes on.
const OVERTIME: Duration = Duration::from_secs(2);

/// How long before the first request at a fixed rate the connections are opened.
const TO_CONNECT: Duration = Duration::from_millis(100);

// === impl Load ===

impl Load {
    /// Goes on for about `time`. Panics where an answer is not what it may be: nothing was measured then.
    pub async fn run(&self, time: Duration) -> Answers {
        let began = Instant::now() + self.rate.map_or(Duration::ZERO, |_| TO_CONNECT);
        let until = began + time;
        let mut connections = JoinSet::new();
        for number in 0..self.connections as u64 {
            let load = self.clone();
            match self.rate {
                None => connections.spawn(async move { load.unpaced(number, until).await }),
                Some(rate) => connections.spawn_blocking(move || load.paced(number, rate, began, until)),
            };
        }
        let answers = connections.join_all().await;
        Answers::of(answers, began.elapsed())
    }

    async fn unpaced(self, number: u64, until: Instant) -> Answers {
        let (mut sender, mut answers) = (connect(self.address).await, Answers::default());
        for turn in 0.. {
            // At least one, however long it took to connect: nothing can be said of no answer.
            if turn > 0 && Instant::now() >= until {
                break;
            }
            let asked = Instant::now();
            let status = self.ask(&mut sender, turn * self.connections as u64 + number).await;
            self.note(&mut answers, status, asked.elapsed());
        }
        answers
    }

    /// On a thread of its own that sleeps until a request is due. Tokio's timers know whole milliseconds only: requests
    /// would come late by up to that, and several at a time.
    fn paced(&self, number: u64, rate: f64, began: Instant, until: Instant) -> Answers {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let mut sender = runtime.block_on(connect(self.address));
        let mut answers = Answers::default();
        // One that does not count: it has Envoy open connections of its own.
        runtime.block_on(self.ask(&mut sender, number));
        for turn in 0.. {
            let request = turn * self.connections as u64 + number;
            let due = began + Duration::from_secs_f64(request as f64 / rate);
            if due >= until || Instant::now() >= until + OVERTIME {
                break;
            }
            sleep(due.saturating_duration_since(Instant::now()));
            let status = runtime.block_on(self.ask(&mut sender, request));
            self.note(&mut answers, status, due.elapsed());
        }
        answers
    }

    async fn ask(&self, sender: &mut SendRequest<Full<Bytes>>, request: u64) -> StatusCode {
        let (status, body) = exchange(sender, (self.requests)(request)).await;
        assert!(self.expected.contains(&status), "{status} from {}: {body:?}", self.address);
        sender.ready().await.unwrap();
        status
    }

    fn note(&self, answers: &mut Answers, status: StatusCode, took: Duration) {
        answers.latencies.push(took);
        answers.refused += usize::from(status != self.expected[0]);
    }
}

/// Lets every caller go on for about `time`, and gives them back. Panics where an answer is not `expected`.
pub async fn converse<C: Caller>(
    address: SocketAddr,
    callers: Vec<C>,
    expected: StatusCode,
    time: Duration,
) -> (Vec<C>, Answers) {
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for mut caller in callers {
        connections.spawn(async move {
            let (mut sender, mut answers) = (connect(address).await, Answers::default());
            loop {
                let asked = Instant::now();
                let (status, body) = exchange(&mut sender, caller.ask()).await;
                answers.latencies.push(asked.elapsed());
                sender.ready().await.unwrap();
                assert_eq!(status, expected, "{address}: {body:?}");
                caller.hear(&body);
                if began.elapsed() >= time {
                    break;
                }
            }
            (caller, answers)
        });
    }
    let (callers, answers) = connections.join_all().await.into_iter().unzip();
    (callers, Answers::of(answers, began.elapsed()))
}

/// Sends so many requests, one after the other over one connection. Panics where an answer is not 200.
pub async fn in_turn(address: SocketAddr, requests: &Requests, count: u64) {
    let mut sender = connect(address).await;
    for number in 0..count {
        let (status, body) = exchange(&mut sender, requests(number)).await;
        assert_eq!(status, StatusCode::OK, "{address}: {body:?}");
        sender.ready().await.unwrap();
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> (StatusCode, Bytes) {
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, body)
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A duration in microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

// === impl Answers ===

impl Answers {
    pub(crate) fn of(connections: Vec<Self>, took: Duration) -> Self {
        let refused = connections.iter().map(|answers| answers.refused).sum();
        let mut latencies: Vec<_> = connections.into_iter().flat_map(|answers| answers.latencies).collect();
        latencies.sort_unstable();
        Self { latencies, refused, took }
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// How much was not answered as it was hoped, from 0 to 1.
    pub fn refused_share(&self) -> f64 {
        self.refused as f64 / self.latencies.len() as f64
    }

    /// The latency that so many percent do not exceed, in microseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        let last = self.latencies.len() - 1;
        micros(self.latencies[(last as f64 * percent / 100.0).round() as usize])
    }
}

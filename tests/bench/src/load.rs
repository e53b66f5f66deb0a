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
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Gives the next request.
pub type Requests = Arc<dyn Fn() -> Request<Full<Bytes>> + Send + Sync>;

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

/// A connection, with all that drives it.
struct Connection {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
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

// === impl Load ===

impl Load {
    /// Goes on for about `time`. Panics where an answer is not what it may be: nothing was measured then.
    pub async fn run(&self, time: Duration) -> Answers {
        match self.rate {
            None => self.run_unpaced(time).await,
            Some(rate) => self.run_paced(rate, time).await,
        }
    }

    async fn run_unpaced(&self, time: Duration) -> Answers {
        let began = Instant::now();
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            let load = self.clone();
            connections.spawn(async move {
                let (mut sender, mut answers) = (connect(load.address).await, Answers::default());
                loop {
                    load.ask(&mut sender, Instant::now(), &mut answers).await;
                    if began.elapsed() >= time {
                        break answers;
                    }
                }
            });
        }
        Answers::of(connections.join_all().await, began.elapsed())
    }

    async fn run_paced(&self, rate: f64, time: Duration) -> Answers {
        let mut connected = JoinSet::new();
        for _ in 0..self.connections {
            let load = self.clone();
            connected.spawn_blocking(move || load.connect());
        }
        let connected = connected.join_all().await;
        let began = Instant::now();
        let mut connections = JoinSet::new();
        for (number, connection) in connected.into_iter().enumerate() {
            let load = self.clone();
            connections.spawn_blocking(move || load.pace(number, connection, rate, began, time));
        }
        Answers::of(connections.join_all().await, began.elapsed())
    }

    /// A connection over which one request has gone that does not count: Envoy has opened connections of its own for it.
    fn connect(&self) -> Connection {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let sender = runtime.block_on(async {
            let mut sender = connect(self.address).await;
            self.ask(&mut sender, Instant::now(), &mut Answers::default()).await;
            sender
        });
        Connection { runtime, sender }
    }

    /// On a thread of its own that sleeps until a request is due. Tokio's timers know whole milliseconds only: requests
    /// would come late by up to that, and several at a time.
    fn pace(
        &self,
        number: usize,
        connection: Connection,
        rate: f64,
        began: Instant,
        time: Duration,
    ) -> Answers {
        let Connection { runtime, mut sender } = connection;
        let mut answers = Answers::default();
        for request in (number..).step_by(self.connections) {
            let due = Duration::from_secs_f64(request as f64 / rate);
            if due >= time || began.elapsed() >= time + OVERTIME {
                break;
            }
            sleep(due.saturating_sub(began.elapsed()));
            runtime.block_on(self.ask(&mut sender, began + due, &mut answers));
        }
        answers
    }

    /// Notes how long the answer took from `since`.
    async fn ask(&self, sender: &mut SendRequest<Full<Bytes>>, since: Instant, answers: &mut Answers) {
        let (status, body) = exchange(sender, (self.requests)()).await;
        answers.latencies.push(since.elapsed());
        answers.refused += usize::from(status != self.expected[0]);
        assert!(self.expected.contains(&status), "{status} from {}: {body:?}", self.address);
        sender.ready().await.unwrap();
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
    for _ in 0..count {
        let (status, body) = exchange(&mut sender, requests()).await;
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

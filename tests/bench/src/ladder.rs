//! One step after the other: Envoy alone, with a server that allows everything, with Portcullis, with what Envoy has
//! itself, and what a user could put in the place of both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use portcullis_tests::binaries::workspace;
use portcullis_tests::process::Running;
use portcullis_tests::programs::{Place, free_addresses};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::envoy::{self, Filter};
use crate::load::{Answers, Load, Requests, micros};
use crate::peers::{self, Missing};
use crate::portcullis::Portcullis;
use crate::usage::Family;
use crate::{backend, jwt};

/// Names of steps that others are compared with.
pub const ORDINARY: &str = "+ always allow, ordinary";
/// The least that a server costs.
pub const LEAN: &str = "+ always allow, lean";
/// The least that the answer costs which Portcullis gives: at Envoy, and to write it.
pub const ANSWER: &str = "+ always allow, lean, with Portcullis's answer";
/// What all this is about.
pub const PORTCULLIS: &str = "+ Portcullis";
/// The same, behind all that the edge does beside asking it.
const EDGE: &str = "+ Portcullis, in the edge as it is shipped";
/// What Envoy has itself.
pub const ES256: &str = "+ jwt_authn ES256";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Records that authz has.
    pub records: usize,
    /// Rounds that count.
    pub rounds: usize,
    /// For how long rounds do not count, but for the first one, which never does. A store that was just opened reads each
    /// page when it is asked for the first time; authz's first sweep passes by all of them.
    pub warm_up: Duration,
    /// How long each step in each round goes as fast as it can.
    pub time: Duration,
    /// And how long at the fixed rate.
    pub paced_time: Duration,
    /// Connections of the load.
    pub connections: usize,
    /// Requests a second where latency is measured.
    pub rate: f64,
    /// Whether the peers are measured too.
    pub peers: bool,
}

/// One of the things that are compared.
pub struct Step {
    /// Its name in the table.
    pub name: String,
    /// What is done to it.
    pub load: Load,
    /// Envoy, where there is one.
    pub envoy: Option<Running>,
    /// What Envoy asks, or what stands in its place.
    pub server: Option<Arc<Running>>,
}

/// What one round said of a step.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Requests a second, as fast as they are answered.
    pub rate: f64,
    /// Half of them took no longer, in microseconds.
    pub p50: f64,
    /// 99 % of them took no longer, in microseconds.
    pub p99: f64,
    /// CPU time of Envoy for a request, in microseconds.
    pub envoy: f64,
    /// CPU time of the server that it asks, or of the one that stands in Envoy's place, in microseconds.
    pub server: f64,
    /// At the fixed rate, where it can be kept.
    pub paced: Option<Paced>,
    /// Resident memory of the server, in bytes.
    pub memory: u64,
}

/// Latencies at a fixed rate.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    /// Half of the requests took no longer, in microseconds.
    pub p50: f64,
    /// And 99 %.
    pub p99: f64,
}

/// All steps, and all that was measured of each.
#[derive(Debug)]
pub struct Climbed {
    /// By name, in order.
    pub steps: Vec<(String, Vec<Sample>)>,
    /// Peers that could not be had.
    pub missing: Vec<Missing>,
}

/// Starts every step, and measures them in turn.
pub async fn climb(place: &Place, extent: Extent) -> Climbed {
    let [backend] = free_addresses().unwrap();
    backend::start(backend);
    let (mut steps, _control_plane) = steps(place, extent, backend).await;
    let mut missing = Vec::new();
    if extent.peers {
        let (peers, without) = peers::start(place, extent.connections, backend).await;
        steps.extend(peers);
        missing = without;
    }
    let mut measured: Vec<_> = steps.iter().map(|step| (step.name.clone(), Vec::new())).collect();
    let began = Instant::now();
    let (mut round, mut counted) = (0, 0);
    while counted < extent.rounds {
        let counts = round > 0 && began.elapsed() >= extent.warm_up;
        for (step, (name, samples)) in steps.iter().zip(&mut measured) {
            let sample = step.measure(extent).await;
            eprintln!("round {round}: {name}: {sample:.1?}");
            if counts {
                samples.push(sample);
            }
        }
        counted += usize::from(counts);
        round += 1;
    }
    Climbed { steps: measured, missing }
}

async fn steps(place: &Place, extent: Extent, backend: SocketAddr) -> (Vec<Step>, Running) {
    let portcullis = Portcullis::start(place, extent.records).await;
    let tokens = Arc::new(portcullis.tokens);
    let (listen, authz) = (portcullis.listen, Arc::new(portcullis.authz));
    let (ordinary, ordinary_at) = allow(place, "allow-ordinary", "bench", &["ordinary"]).await;
    let (lean, lean_at) = allow(place, "allow-lean", "lean", &[]).await;
    let (answer, answer_at) = allow(place, "allow-answer", "lean", &["full"]).await;
    let (rs256, es256) = (jwt::rs256(), jwt::es256());
    let plain = bearer(tokens.clone());
    let kinds = [
        ("Envoy alone", Filter::None, None, plain.clone()),
        (ORDINARY, Filter::Authz(ordinary_at), Some(Arc::new(ordinary)), plain.clone()),
        (LEAN, Filter::Authz(lean_at), Some(Arc::new(lean)), plain.clone()),
        (ANSWER, Filter::Authz(answer_at), Some(Arc::new(answer)), plain.clone()),
        (PORTCULLIS, Filter::Authz(listen), Some(authz.clone()), plain),
        ("+ jwt_authn RS256", Filter::Jwt(rs256.jwks), None, bearer(Arc::new(rs256.tokens))),
        (ES256, Filter::Jwt(es256.jwks), None, bearer(Arc::new(es256.tokens))),
    ];
    let load = |address, requests| {
        let expected = &[StatusCode::OK];
        Load { address, requests, expected, connections: extent.connections, rate: None }
    };
    let mut steps = Vec::new();
    for (number, (name, filter, server, requests)) in kinds.into_iter().enumerate() {
        let [address, admin] = free_addresses().unwrap();
        let envoy = envoy::start(place, &format!("envoy-{number}"), address, admin, backend, &filter).await;
        let load = load(address, requests);
        steps.push(Step { name: name.to_owned(), load, envoy: Some(envoy), server });
    }
    let [address, admin] = free_addresses().unwrap();
    let envoy = envoy::run(place, "edge", &envoy::edge(address, admin, backend, listen), admin).await;
    let load = load(address, posts(bearer(tokens)));
    steps.push(Step { name: EDGE.to_owned(), load, envoy: Some(envoy), server: Some(authz) });
    (steps, portcullis.control_plane)
}

/// A program of this package that listens, and where. It has no other sign of being ready.
pub(crate) async fn allow(
    place: &Place,
    name: &str,
    binary: &str,
    arguments: &[&str],
) -> (Running, SocketAddr) {
    let [address] = free_addresses().unwrap();
    let text = address.to_string();
    let arguments: Vec<_> = arguments.iter().copied().chain([text.as_str()]).collect();
    let program = place.program(name, workspace(binary).unwrap(), &arguments, String::new());
    let running = program.start().unwrap();
    while TcpStream::connect(address).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    (running, address)
}

/// Requests with one of the tokens each, any of them as likely as any other. They go on from one load to the next: one
/// that began anew would ask for the same few tokens in each round.
pub(crate) fn bearer(tokens: Arc<Vec<String>>) -> Requests {
    let next = AtomicU64::new(0);
    Arc::new(move || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        // Knuth's multiplicative hash: spread, and the same in each run.
        let index = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        with_token(&tokens[index as usize % tokens.len()])
    })
}

/// The same requests as POST, which is what MCP clients send; the edge bounds how often a user may send GET.
fn posts(requests: Requests) -> Requests {
    Arc::new(move || {
        let mut request = requests();
        *request.method_mut() = Method::POST;
        request
    })
}

/// The request of whoever has this token.
pub(crate) fn with_token(token: &str) -> Request<Full<Bytes>> {
    Request::get("/mcp")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .unwrap()
}

// === impl Paced ===

impl Paced {
    pub(crate) fn of(answers: &Answers) -> Self {
        Self { p50: answers.percentile(50.0), p99: answers.percentile(99.0) }
    }
}

// === impl Step ===

impl Step {
    async fn measure(&self, extent: Extent) -> Sample {
        let family = |running: Option<&Running>| running.and_then(Running::id).map(Family::of);
        let families = [family(self.envoy.as_ref()), family(self.server.as_deref())];
        let used = || families.each_ref().map(|family| family.as_ref().map_or(Duration::ZERO, Family::cpu));
        let before = used();
        let answers = self.load.run(extent.time).await;
        let after = used();
        let each = |index: usize| {
            micros(after[index].saturating_sub(before[index])) / answers.latencies.len() as f64
        };
        let paced = if answers.rate() > extent.rate {
            let answers = Load { rate: Some(extent.rate), ..self.load.clone() }.run(extent.paced_time).await;
            Some(Paced::of(&answers))
        } else {
            None // it would only say how long the queue has become
        };
        Sample {
            rate: answers.rate(),
            p50: answers.percentile(50.0),
            p99: answers.percentile(99.0),
            envoy: each(0),
            server: each(1),
            paced,
            memory: families[1].as_ref().map_or(0, Family::memory),
        }
    }
}

//! One step after the other: Envoy alone, with a server that allows everything, with Portcullis, and with what Envoy
//! has itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Empty;
use portcullis_tests::binaries::workspace;
use portcullis_tests::process::Running;
use portcullis_tests::programs::{Place, free_addresses};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::envoy::{self, Filter};
use crate::load::{Load, Requests};
use crate::portcullis::Portcullis;
use crate::{backend, jwt, usage};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Records that authz has.
    pub records: usize,
    /// Rounds.
    pub rounds: usize,
    /// The length of each step in each round.
    pub time: Duration,
    /// Connections of the load.
    pub connections: usize,
    /// Requests a second where latency is measured.
    pub rate: f64,
}

/// One of the things that are compared.
pub struct Step {
    /// Its name in the table.
    pub name: String,
    load: Load,
    envoy: Running,
    server: Option<Running>,
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
    /// The same at a fixed rate: half of the requests took no longer, in microseconds.
    pub paced_p50: f64,
    /// And 99 %.
    pub paced_p99: f64,
    /// Resident memory of the server, in bytes.
    pub memory: u64,
}

/// A step and all that was measured of it.
pub type Measured = (String, Vec<Sample>);

/// Starts every step, and measures them in turn.
pub async fn climb(place: &Place, extent: Extent) -> Vec<Measured> {
    let (steps, _control_plane) = steps(place, extent).await;
    let mut measured: Vec<Measured> = steps.iter().map(|step| (step.name.clone(), Vec::new())).collect();
    for round in 0..=extent.rounds {
        for (step, (name, samples)) in steps.iter().zip(&mut measured) {
            let sample = step.measure(extent).await;
            eprintln!("round {round}: {name}: {sample:.1?}");
            if round > 0 {
                samples.push(sample); // the first warms up
            }
        }
    }
    measured
}

async fn steps(place: &Place, extent: Extent) -> (Vec<Step>, Running) {
    let [backend] = free_addresses().unwrap();
    backend::start(backend);
    let portcullis = Portcullis::start(place, extent.records).await;
    let tokens = Arc::new(portcullis.tokens);
    let (listen, authz) = (portcullis.listen, portcullis.authz);
    let (ordinary, ordinary_at) = allow(place, "allow-ordinary", "bench", &["ordinary"]).await;
    let (lean, lean_at) = allow(place, "allow-lean", "lean", &[]).await;
    let (rs256, es256) = (jwt::rs256(), jwt::es256());
    let plain = bearer(tokens.clone());
    let kinds = [
        ("Envoy alone", Filter::None, None, plain.clone()),
        ("+ always allow, ordinary", Filter::Authz(ordinary_at), Some(ordinary), plain.clone()),
        ("+ always allow, lean", Filter::Authz(lean_at), Some(lean), plain.clone()),
        ("+ Portcullis", Filter::Authz(listen), Some(authz), plain),
        ("+ jwt_authn RS256", Filter::Jwt(rs256.jwks), None, bearer(Arc::new(rs256.tokens))),
        ("+ jwt_authn ES256", Filter::Jwt(es256.jwks), None, bearer(Arc::new(es256.tokens))),
    ];
    let mut steps = Vec::new();
    for (number, (name, filter, server, requests)) in kinds.into_iter().enumerate() {
        let [address, admin] = free_addresses().unwrap();
        let envoy = envoy::start(place, &format!("envoy-{number}"), address, admin, backend, &filter).await;
        let load =
            Load { address, requests, expected: StatusCode::OK, connections: extent.connections, rate: None };
        steps.push(Step { name: name.to_owned(), load, envoy, server });
    }
    (steps, portcullis.control_plane)
}

/// A server that allows everything, and where it listens.
async fn allow(place: &Place, name: &str, binary: &str, arguments: &[&str]) -> (Running, SocketAddr) {
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

/// A request with one of the tokens, any of them as likely as any other.
fn bearer(tokens: Arc<Vec<String>>) -> Requests {
    Arc::new(move |number| {
        // Knuth's multiplicative hash: spread, and the same in each run.
        let index = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let token = &tokens[index as usize % tokens.len()];
        Request::get("/mcp")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::new())
            .unwrap()
    })
}

// === impl Step ===

impl Step {
    async fn measure(&self, extent: Extent) -> Sample {
        let pids = [self.envoy.id(), self.server.as_ref().and_then(Running::id)];
        let used = || pids.map(|pid| pid.map_or(Duration::ZERO, usage::cpu));
        let before = used();
        let answers = self.load.run(extent.time).await;
        let after = used();
        let each = |index: usize| micros(after[index] - before[index]) / answers.latencies.len() as f64;
        let paced = Load { rate: Some(extent.rate), ..self.load.clone() }.run(extent.time).await;
        Sample {
            rate: answers.rate(),
            p50: micros(answers.percentile(50.0)),
            p99: micros(answers.percentile(99.0)),
            envoy: each(0),
            server: each(1),
            paced_p50: micros(paced.percentile(50.0)),
            paced_p99: micros(paced.percentile(99.0)),
            memory: pids[1].map_or(0, usage::memory),
        }
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

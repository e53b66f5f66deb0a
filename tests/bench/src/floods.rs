//! What bad tokens cost, and what they do to those who have good ones.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::token::{Access, Token};
use portcullis_tests::process::Running;
use portcullis_tests::programs::{Place, free_addresses};

use crate::backend;
use crate::envoy::{self, Filter};
use crate::ladder::{Paced, bearer, with_token};
use crate::load::{Load, Requests, micros};
use crate::portcullis::Portcullis;
use crate::usage::Family;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Records that authz has.
    pub records: usize,
    /// Rounds.
    pub rounds: usize,
    /// The length of each load in each round.
    pub time: Duration,
    /// Connections of each load.
    pub connections: usize,
    /// Good requests a second.
    pub rate: f64,
    /// Requests a second of the flood: each with a token that nobody has issued, and that looks like one.
    pub flood: f64,
}

/// What one round said.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// CPU time of Envoy and authz for a request with a good token, in microseconds.
    pub good: f64,
    /// The same with a token whose checksum is wrong.
    pub garbage: f64,
    /// Latencies of good requests at their rate, alone.
    pub quiet: Paced,
    /// The same while the flood comes in.
    pub flooded: Paced,
    /// How much of the good requests was answered 503 then, from 0 to 1.
    pub refused: f64,
    /// How much of the flood was answered 503 and not 401, from 0 to 1.
    pub deferred: f64,
}

/// Starts a Portcullis, and measures.
pub async fn measure(place: &Place, extent: Extent) -> Vec<Sample> {
    let [backend, address, admin] = free_addresses().unwrap();
    backend::start(backend);
    let portcullis = Portcullis::start(place, extent.records).await;
    let filter = Filter::Authz(portcullis.listen);
    let envoy = envoy::start(place, "envoy-floods", address, admin, backend, &filter).await;
    let families = [&envoy, &portcullis.authz].map(|running| Running::id(running).map(Family::of).unwrap());
    let load = |requests, expected, rate| Load {
        address,
        requests,
        expected,
        connections: extent.connections,
        rate,
    };
    let requests = bearer(Arc::new(portcullis.tokens));
    let good = load(requests.clone(), &[StatusCode::OK], None);
    let garbage = load(Arc::new(|| with_token(&garbage())), &[StatusCode::UNAUTHORIZED], None);
    let paced = load(requests, &[StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE], Some(extent.rate));
    let flood = &[StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE];
    let flood = load(unknown(), flood, Some(extent.flood));

    let mut samples = Vec::new();
    for round in 0..=extent.rounds {
        let good = cost(&good, &families, extent.time).await;
        let garbage = cost(&garbage, &families, extent.time).await;
        let quiet = paced.run(extent.time).await;
        let (flooded, flood) = tokio::join!(paced.run(extent.time), flood.run(extent.time));
        let sample = Sample {
            good,
            garbage,
            quiet: Paced::of(&quiet),
            flooded: Paced::of(&flooded),
            refused: flooded.refused_share(),
            deferred: flood.refused_share(),
        };
        eprintln!("round {round}: {sample:.3?}");
        if round > 0 {
            samples.push(sample); // the first warms up
        }
    }
    samples
}

/// CPU time of all of them for one request, in microseconds.
async fn cost(load: &Load, families: &[Family], time: Duration) -> f64 {
    let used = || families.iter().map(Family::cpu).sum::<Duration>();
    let before = used();
    let answers = load.run(time).await;
    micros(used().saturating_sub(before)) / answers.latencies.len() as f64
}

/// A token that a look at its checksum is enough for.
fn garbage() -> String {
    let mut token = Token::<Access>::generate(&SystemRandom).expose().to_owned();
    let last = token.pop();
    token.push(if last == Some('0') { '1' } else { '0' });
    token
}

/// Tokens that only the control plane can tell from good ones, each another.
fn unknown() -> Requests {
    Arc::new(|| with_token(Token::<Access>::generate(&SystemRandom).expose()))
}

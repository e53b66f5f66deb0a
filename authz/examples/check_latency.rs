//! How long the request path takes for a token that the instance has, without Envoy's gRPC around it:
//! `cargo run --release -p portcullis-authz --example check_latency`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement")]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/service/control_plane.rs"]
mod control_plane;
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../tests/service/harness.rs"]
mod harness;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/service/log.rs"]
mod log;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/service/tokens.rs"]
mod tokens;

use std::hint::black_box;
use std::time::Instant;

use harness::{Local, Verdict, issue, request};

const WARM_UP: usize = 20_000;
const REQUESTS: usize = 200_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = tempfile::TempDir::new().unwrap();
    let local = Local::new(directory.path()).await;
    let (token, record) = issue();
    local.control.knows(&record);
    let request = request("demo", Some(&format!("Bearer {}", token.expose())));
    assert_eq!(Verdict::from(local.checker.check(&request).await).status, 200);
    let mut nanos = Vec::with_capacity(WARM_UP + REQUESTS);
    for _ in 0..WARM_UP + REQUESTS {
        let began = Instant::now();
        black_box(local.checker.check(black_box(&request)).await);
        nanos.push(began.elapsed().as_nanos());
    }
    let nanos = &mut nanos[WARM_UP..];
    nanos.sort_unstable();
    let micros = |percent: usize| nanos[nanos.len() * percent / 100] / 10;
    for percent in [50, 99] {
        println!("p{percent} {}.{:02} us", micros(percent) / 100, micros(percent) % 100);
    }
}

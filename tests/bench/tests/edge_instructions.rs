//! What the edge costs Envoy for a request, in instructions, which no other process on the machine changes.
//!
//! Some settings that look alike differ by a tenth of it. `UPDATE=1 cargo test -p portcullis-bench --test edge_instructions`
//! accepts what is counted now.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should fail")]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use portcullis_bench::load::{Requests, in_turn};
use portcullis_bench::{START, backend, envoy, instructions};
use portcullis_tests::edge::{Answer, ScriptedAuthz};
use portcullis_tests::process::Program;
use portcullis_tests::programs::{Place, free_addresses};

/// How much more or less than what was accepted is too much, in percent. Health checks and statistics go on beside the
/// requests, for as long as these take.
const TOLERANCE: u64 = 5;
/// Requests that count, and those that come before them.
const REQUESTS: u64 = 500;
const BEFORE: u64 = 100;
/// How long Envoy may take to stop under valgrind.
const STOP: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_request_through_the_edge_costs_envoy_what_it_did() {
    let authz = ScriptedAuthz::start().await;
    instructions::judge("edge", count(&authz).await / REQUESTS, TOLERANCE);
}

/// For all requests that count. What it takes to start and to stop does not.
async fn count(authz: &ScriptedAuthz) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let place = Place { directory: directory.path().to_owned(), own_groups: false };
    let [listen, admin, backend] = free_addresses().unwrap();
    backend::start(backend);
    let config = directory.path().join("edge.yaml");
    fs::write(&config, patient(envoy::edge(listen, admin, backend, authz.address()))).unwrap();
    let mut program = place.envoy(config.to_str().unwrap(), admin).unwrap();
    let profile = format!("--callgrind-out-file={}", directory.path().join("profile").display());
    let under =
        ["--tool=callgrind".to_owned(), "--instr-atstart=no".to_owned(), profile, executable(&program).await];
    program.arguments.splice(..0, under);
    program.executable = "valgrind".into();
    let log = program.log.clone();
    let mut envoy = program.start().expect("valgrind: `make tools` installs it");
    envoy.ready(START).await.unwrap();
    let process = envoy.id().unwrap();
    control(process, &["-i", "on"]);
    in_turn(listen, &asked(), BEFORE).await;
    control(process, &["-z"]);
    in_turn(listen, &asked(), REQUESTS).await;
    control(process, &["-i", "off"]);
    envoy.stop(STOP).await;
    instructions::collected(&fs::read_to_string(log).unwrap())
}

/// Tells valgrind's process what to do.
fn control(process: u32, command: &[&str]) {
    let output = Command::new("callgrind_control").args(command).arg(process.to_string()).output();
    let output = output.expect("callgrind_control: it comes with valgrind");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What runs in the end: what is installed as Envoy may be a script that starts it.
async fn executable(program: &Program) -> String {
    let mut envoy = program.start().unwrap();
    envoy.ready(START).await.unwrap();
    let executable = fs::read_link(format!("/proc/{}/exe", envoy.id().unwrap())).unwrap();
    envoy.stop(STOP).await;
    executable.display().to_string()
}

/// The same edge, but it waits for an answer for as long as it takes under valgrind on a machine that is busy.
fn patient(config: String) -> String {
    let times = [
        ("timeout: 1s                         #", "timeout: 100s #"),
        ("per-try-timeout-ms, value: \"400\"", "per-try-timeout-ms, value: \"50000\""),
    ];
    times.into_iter().fold(config, |config, (shipped, patient)| {
        assert_eq!(config.matches(shipped).count(), 1, "{shipped}");
        config.replace(shipped, patient)
    })
}

fn asked() -> Requests {
    Arc::new(|| {
        Request::post("/mcp")
            .header("host", "localhost")
            .header("authorization", Answer::Allow.authorization())
            .body(Full::<Bytes>::default())
            .unwrap()
    })
}

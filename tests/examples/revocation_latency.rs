//! How long after a revocation's acknowledgement the last instance refuses: 2 real ones and 200 simulated, all on
//! this machine. `cargo build --release --bins && cargo run --release -p portcullis-tests --example
//! revocation_latency`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement")]

use std::time::{Duration, Instant};

use http::StatusCode;
use portcullis_proto::token::{Access, Presented};
use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::scope::Kind;
use portcullis_proto::v1::watch_request::Message as Outgoing;
use portcullis_proto::v1::watch_response::Message as Incoming;
use portcullis_tests::client::Client;
use portcullis_tests::stack::{Instance, Stack};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

const REAL: usize = 2;
const SIMULATED: usize = 200;
const ROUNDS: usize = 200;

/// An instance that keeps the log in memory: when it put the latest entry in force.
type Simulated = watch::Receiver<(u64, Instant)>;

#[tokio::main]
async fn main() {
    let stack = Stack::builder().authz(REAL).start().await;
    let real: Vec<_> = (0..REAL)
        .map(|instance| Instance::at(stack.addresses().authz[instance], Duration::from_secs(5)))
        .collect();
    let mut simulated = Vec::new();
    for number in 0..SIMULATED {
        simulated.push(simulate(format!("http://{}", stack.addresses().grpc), number).await);
    }
    while stack.instances().await.instances.len() < REAL + SIMULATED {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let client = Client::register(stack.url(), "Measurement").await;

    let (mut by_client, mut by_operator, mut barrier) = (Vec::new(), Vec::new(), Vec::new());
    let mut tokens = client.login("ada").await;
    let before = stack.instances().await.head;
    for round in 1..=2 * ROUNDS as u64 {
        tokens = client.refresh(&tokens.refresh_token).await.tokens();
        for instance in &real {
            assert_eq!(instance.check(&tokens.access_token).await.unwrap().status, StatusCode::OK);
        }
        let refused =
            real.iter().cloned().map(|instance| tokio::spawn(refused(instance, tokens.access_token.clone())));
        let refused: Vec<_> = refused.collect();
        let acknowledged = if round % 2 == 0 {
            assert_eq!(client.revoke(&tokens.access_token).await.status, StatusCode::OK);
            Instant::now()
        } else {
            let id = Presented::<Access>::parse(&tokens.access_token).unwrap().id();
            let answer = stack.revoke(Kind::TokenId(id.as_bytes().to_vec())).await;
            assert_eq!(answer.applied as usize, REAL + SIMULATED);
            barrier.push(Duration::from_micros(answer.elapsed_us));
            Instant::now()
        };
        let mut last = acknowledged;
        for instance in refused {
            last = last.max(instance.await.unwrap());
        }
        for instance in &mut simulated {
            last = last.max(instance.wait_for(|(applied, _)| *applied >= before + round).await.unwrap().1);
        }
        let series = if round % 2 == 0 { &mut by_client } else { &mut by_operator };
        series.push(last - acknowledged);
    }
    println!("{REAL} real and {SIMULATED} simulated instances, {ROUNDS} revocations each:");
    report("a client's /revoke: from its 200 to the last refusal", by_client);
    report("an operator's revoke: the time that it waits for all", barrier);
    report("an operator's revoke: from its answer to the last refusal", by_operator);
}

/// When a real instance has refused the token.
async fn refused(instance: Instance, token: String) -> Instant {
    while instance.check(&token).await.unwrap().status != StatusCode::UNAUTHORIZED {}
    Instant::now()
}

async fn simulate(control_plane: String, number: usize) -> Simulated {
    let mut client = ReplicaClient::connect(control_plane).await.unwrap();
    let (requests, receiver) = mpsc::channel(16);
    let say = async |message| {
        requests.send(v1::WatchRequest { message: Some(message) }).await.unwrap();
    };
    say(Outgoing::Hello(v1::Hello {
        instance: format!("simulated-{number}"),
        position: None,
        max_staleness_ms: 60_000,
    }))
    .await;
    let mut responses = client.watch(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let (publish, applied) = watch::channel((0, Instant::now()));
    tokio::spawn(async move {
        let mut probes = tokio::time::interval(Duration::from_secs(1));
        let say = async |message| requests.send(v1::WatchRequest { message: Some(message) }).await;
        loop {
            let said = tokio::select! {
                _ = probes.tick() => say(Outgoing::Probe(v1::Probe { at_ms: 0 })).await,
                response = responses.message() => match response {
                    Ok(Some(v1::WatchResponse { message: Some(Incoming::Entries(entries)) })) => {
                        let sequence = entries.entries.last().unwrap().sequence;
                        publish.send_replace((sequence, Instant::now()));
                        say(Outgoing::Applied(v1::Applied { sequence })).await
                    }
                    Ok(Some(_)) => Ok(()),
                    Ok(None) | Err(_) => return,
                },
            };
            if said.is_err() {
                return;
            }
        }
    });
    applied
}

fn report(what: &str, mut series: Vec<Duration>) {
    series.sort_unstable();
    let at = |percent: usize| series[(series.len() - 1) * percent / 100];
    println!("  {what}: p50 {:.1?}, p99 {:.1?}, longest {:.1?}", at(50), at(99), at(100));
}

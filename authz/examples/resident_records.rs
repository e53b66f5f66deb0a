//! What an instance with many records costs: disk, memory, time to open after kill -9 and after a clean stop, and
//! time to find one of them: `cargo run --release -p portcullis-authz --example resident_records -- 1000000`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement")]

use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis_authz::replica::store::{Generation, Store, Sweep};
use portcullis_proto::ids::{ClientId, Epoch, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::random::{Random, SystemRandom};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Position;
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;

const LOOKUPS: u64 = 200_000;
const EPOCH: Epoch = Epoch([1; 16]);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", directory, records] => fill(Path::new(directory), records.parse().unwrap()).await,
        ["open", directory, records] => open(Path::new(directory), records.parse().unwrap()).await,
        [records] => measure(records),
        _ => println!("say how many records"),
    }
}

/// Each step is a process of its own: memory is what it has after that step.
fn measure(records: &str) {
    let directory = tempfile::TempDir::new().unwrap();
    let step = |name: &str| {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.arg(name).arg(directory.path()).arg(records).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut filling = step("fill");
    println!("{}", line(&mut filling));
    println!("disk: {} MB", megabytes(size(directory.path())));
    filling.kill().unwrap(); // SIGKILL
    filling.wait().unwrap();
    for after in ["kill -9", "a clean stop"] {
        let mut opened = step("open");
        let mut text = String::new();
        opened.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(opened.wait().unwrap().success());
        print!("after {after}:\n{text}");
    }
}

async fn fill(directory: &Path, records: u64) {
    let (store, _) = Store::open(directory, usize::try_from(records).unwrap()).unwrap();
    let generation = Generation::generate(&SystemRandom);
    store.place().await.unwrap().append(generation, &[], Position::start(EPOCH));
    let began = Instant::now();
    for number in 0..records {
        store.put(generation, record(number));
        // What the queue has no room for is dropped: an instance would ask again.
        while number % 1000 == 999 && (store.len() as u64) <= number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    while (store.len() as u64) < records {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // They count when they are written. They are durable when this is, which comes behind them.
    let (mut durable, start) = (store.durable(), Position::start(EPOCH));
    let end = Position { sequence: Sequence(1), ..start };
    store.place().await.unwrap().append(generation, &[], end);
    durable.wait_for(|durable| *durable == Some((generation, end.sequence))).await.unwrap();
    println!("filled with {records} records in {:.1?}; memory: {} MB", began.elapsed(), memory());
    tokio::time::sleep(Duration::from_mins(1)).await; // to be killed
}

async fn open(directory: &Path, records: u64) {
    let began = Instant::now();
    let (store, loaded) = Store::open(directory, usize::try_from(records).unwrap()).unwrap();
    let (generation, _) = loaded.position.unwrap();
    println!("  open: {:.0?}; memory: {} MB", began.elapsed(), memory());
    for round in ["at first", "after the first sweep"] {
        if round != "at first" {
            sweep(&store, generation).await;
        }
        let mut times: Vec<_> = (0..LOOKUPS)
            .map(|_| {
                let id = id(random() % records);
                let began = Instant::now();
                assert!(black_box(store.get(&id).unwrap()).is_some());
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("  {round}: get p50 {:.1?}, p99 {:.1?}; memory: {} MB", at(50), at(99), memory());
    }
    store.close().await;
}

/// As an instance does soon after its start, but without pauses.
async fn sweep(store: &Store, generation: Generation) {
    let (began, mut after) = (Instant::now(), None);
    loop {
        let swept = store.sweep(generation, Sweep::Records, Timestamp::default(), after).await.unwrap();
        after = swept.next;
        if after.is_none() {
            break;
        }
    }
    println!("  sweep: {:.1?}", began.elapsed());
}

/// About 400 bytes, as a record of a provider with opaque tokens has.
fn record(number: u64) -> TokenRecord {
    TokenRecord {
        token: id(number),
        grant: GrantId::new(format!("grant-{number:016}")),
        client: ClientId::new("0123456789abcdef0123"),
        provider: ProviderName::new("corp"),
        subject: Subject::new(format!("subject-{number}")),
        email: Some(format!("user-{number}@example.com").into()),
        server: ServerName::new("demo"),
        scopes: vec!["openid".into(), "email".into()],
        issued_at: Timestamp::from_millis(1_000),
        expires_at: Timestamp::from_millis(u64::MAX),
        born: Sequence(3),
        wrapped_key: Sealed::from_bytes(vec![7; 60]),
        credential: Sealed::from_bytes(vec![7; 140]),
        credential_expires_at: None,
        credential_revision: 0,
    }
}

/// Ids are hashes: they fall anywhere.
fn id(number: u64) -> TokenId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    TokenId::from_slice(&bytes).unwrap()
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

fn line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Resident memory of this process, in MB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
}

fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(
            |entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() },
        )
        .sum()
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

//! How many durable grants, redemptions and rotations the embedded store does each second, beside what bare
//! sled does on the same disk with the same discipline: one row of 400 bytes an operation, one flush and
//! fdatasync a group.
//!
//! `cargo run --release --example store_throughput [DIRECTORY]`: the directory decides which disk is measured.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement, run by hand")]

mod rows;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_control_plane::oauth::pace::Limit;
use portcullis_control_plane::oauth::refresh::Rotation;
use portcullis_control_plane::store::sled::SledStore;
use portcullis_control_plane::store::{Granted, Redeemed, Rotated, Store};
use portcullis_proto::random::{self, SystemRandom};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;

use rows::{client, code, grant, issue, token};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const OPERATIONS: usize = 20_000;
const ROTATION: Rotation =
    Rotation { grace: Duration::from_secs(30), limit: Limit { every: Duration::from_mins(30), burst: 100 } };

#[tokio::main]
async fn main() {
    let home = match std::env::args_os().nth(1) {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }
    .expect("a directory for the stores");
    println!("{:>8} {:>10} {:>10} {:>10} {:>10}", "writers", "bare sled", "grant", "redeem", "rotate");
    for writers in [1, 16, 128, 512] {
        let operations = if writers == 1 { OPERATIONS / 10 } else { OPERATIONS };
        let bare = bare_sled(&home.path().join(format!("bare-{writers}")), writers, operations);
        let store = SledStore::open(&home.path().join(format!("store-{writers}")), &SystemRandom);
        let [grant, redeem, rotate] = measure(Arc::new(store.expect("a store")), writers, operations).await;
        println!("{writers:>8} {bare:>10.0} {grant:>10.0} {redeem:>10.0} {rotate:>10.0}");
    }
}

/// Inserts a second with groups of `writers` operations.
fn bare_sled(path: &Path, writers: usize, operations: usize) -> f64 {
    let db = sled::Config::new().path(path).flush_every_ms(None).open().expect("a database");
    let data = File::open(path.join("db")).expect("its file");
    let began = Instant::now();
    for _ in 0..operations / writers {
        for _ in 0..writers {
            let mut batch = sled::Batch::default();
            batch.insert(random::bytes::<32>(&SystemRandom).as_slice(), [7; 400].as_slice());
            db.apply_batch(batch).expect("an insert");
        }
        db.flush().expect("a flush");
        data.sync_data().expect("a sync");
    }
    per_second(operations, began)
}

/// Grants, redemptions and rotations a second.
async fn measure(store: Arc<SledStore>, writers: usize, operations: usize) -> [f64; 3] {
    store.register(client(NOW), 1).await.expect("a client");
    [
        rate(&store, writers, operations, keep_grant).await,
        rate(&store, writers, operations, redeem).await,
        rate(&store, writers, operations, rotate).await,
    ]
}

async fn keep_grant(store: Arc<SledStore>, id: String) {
    let grant = grant(&id, NOW);
    let code = code(&grant);
    assert_eq!(store.grant(grant, token(&id, 1), code).await.expect("a grant"), Granted::Done);
}

async fn redeem(store: Arc<SledStore>, id: String) {
    let redeemed = store.redeem(&token(&id, 1), issue(&id, 2, None, NOW), NOW).await;
    assert_eq!(redeemed.expect("a redemption"), Redeemed::Issued);
}

async fn rotate(store: Arc<SledStore>, id: String) {
    let (old, answer) = (token(&id, 3), Sealed::from_bytes(vec![9; 200]));
    let rotated = store.rotate(&old, issue(&id, 4, Some(old), NOW), answer, ROTATION, NOW).await;
    assert_eq!(rotated.expect("a rotation"), Rotated::Issued);
}

/// Runs the operation for every identifier, `writers` at a time.
async fn rate<C>(
    store: &Arc<SledStore>,
    writers: usize,
    operations: usize,
    operation: fn(Arc<SledStore>, String) -> C,
) -> f64
where
    C: Future<Output = ()> + Send + 'static,
{
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            for number in (writer..operations).step_by(writers) {
                // Spread over the keys as random identifiers are.
                let spread = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                operation(Arc::clone(&store), format!("{spread:022}")).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a writer");
    }
    per_second(operations, began)
}

#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
fn per_second(operations: usize, began: Instant) -> f64 {
    operations as f64 / began.elapsed().as_secs_f64()
}

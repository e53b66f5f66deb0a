//! Whether the embedded store's disk use follows what is alive: an hour after hour of logins, each of which lives for
//! as long as its refresh token, here 30 days. `cargo run --release --example store_disk_use [DIRECTORY]`.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement, run by hand")]

mod rows;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_control_plane::store::sled::SledStore;
use portcullis_control_plane::store::{Issue, Store};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::Timestamp;
use rows::{client, code, grant, issue, token};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_hours(24);
/// Logins a day. Those of the last 30 are alive.
const LOGINS: usize = 1_000;
const DAYS: u32 = 240;

#[tokio::main]
async fn main() {
    let home = match std::env::args_os().nth(1) {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }
    .expect("a directory for the store");
    let store = Arc::new(SledStore::open(home.path(), &SystemRandom).expect("a store"));
    store.register(client(START), 1).await.expect("a client");
    println!("{:>5} {:>12} {:>10}", "day", "live grants", "disk, MB");
    for day in 0..DAYS {
        let now = START.after(DAY * day);
        let mut logins = tokio::task::JoinSet::new();
        for number in 0..LOGINS {
            logins.spawn(login(store.clone(), format!("{day:08}{number:014}"), now));
        }
        while let Some(done) = logins.join_next().await {
            done.expect("a login");
        }
        while store.sweep(now, 5_000).await.expect("a sweep") > 0 {}
        if (day + 1) % 30 == 0 {
            let live = store.grants(None, usize::MAX).await.expect("the grants").len();
            println!("{:>5} {live:>12} {:>10}", day + 1, size(home.path()) / 1_000_000);
        }
    }
}

async fn login(store: Arc<SledStore>, id: String, now: Timestamp) {
    let grant = grant(&id, now);
    let code = code(&grant);
    store.grant(grant, token(&id, 1), code).await.expect("a grant");
    let Issue { access, refresh } = issue(&id, 2, None, now);
    store.redeem(&token(&id, 1), Issue { access, refresh }, now).await.expect("a redemption");
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| if path.is_dir() { size(&path) } else { path.metadata().map_or(0, |file| file.len()) })
        .sum()
}

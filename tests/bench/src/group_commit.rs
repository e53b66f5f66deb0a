//! What a disk makes durable, asked for as the control plane's store asks, with nothing else around it: one thread
//! writes, and a group of operations shares one flush and one fdatasync.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_proto::random::{SystemRandom, bytes};
use sled::{Batch, Db};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::load::Answers;

/// Most operations that share one flush.
const GROUP: usize = 512;

/// What an operation writes: how many bytes each row has, its key apart.
pub type Rows = &'static [usize];

/// One row, as a record is long.
pub const ROW: Rows = &[400];

/// What a refresh writes: two earlier refresh tokens, the log's latest expiry, the access token, the refresh token and
/// the grant; and the keys by which the sweeper finds the two new ones, and the grant its access token.
pub const REFRESH: Rows = &[200, 560, 16, 250, 200, 780, 0, 0, 0];

/// A store of its own.
#[derive(Debug)]
pub struct GroupCommit {
    operations: mpsc::Sender<Operation>,
    rows: Rows,
}

type Operation = (Batch, oneshot::Sender<()>);

// === impl GroupCommit ===

impl GroupCommit {
    /// Opens it below a directory.
    pub fn start(directory: &Path, rows: Rows) -> Self {
        let path = directory.join(rows.len().to_string());
        // As the control plane opens its own.
        let config = sled::Config::new().path(&path).cache_capacity(256 << 20).segment_size(8 << 20);
        let db = config.flush_every_ms(None).open().unwrap();
        let data = File::open(path.join("db")).unwrap();
        let (operations, queue) = mpsc::channel(2 * GROUP);
        thread::spawn(move || commit(&db, &data, queue));
        Self { operations, rows }
    }

    /// So many writers, each of which waits until its last operation is durable, for about `time`.
    pub async fn run(&self, writers: usize, time: Duration) -> Answers {
        let began = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..writers {
            let (operations, rows) = (self.operations.clone(), self.rows);
            running.spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let asked = Instant::now();
                    let (answer, durable) = oneshot::channel();
                    operations.send((batch(rows), answer)).await.unwrap();
                    durable.await.unwrap();
                    latencies.push(asked.elapsed());
                    if began.elapsed() >= time {
                        break;
                    }
                }
                Answers { latencies, ..Answers::default() }
            });
        }
        let answers = running.join_all().await;
        Answers::of(answers, began.elapsed())
    }
}

fn batch(rows: Rows) -> Batch {
    let mut batch = Batch::default();
    for &length in rows {
        batch.insert(&bytes::<32>(&SystemRandom), vec![b'x'; length]);
    }
    batch
}

fn commit(db: &Db, data: &File, mut queue: mpsc::Receiver<Operation>) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let mut answers = Vec::with_capacity(group.len());
        for (batch, answer) in group.drain(..) {
            db.apply_batch(batch).unwrap();
            answers.push(answer);
        }
        db.flush().unwrap();
        data.sync_data().unwrap();
        for answer in answers {
            let _ = answer.send(()); // nobody stops waiting but when everything ends
        }
    }
}

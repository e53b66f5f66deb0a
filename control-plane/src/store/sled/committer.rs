//! The one thread that writes. Operations are decided and applied one after the other, so each sees what
//! those before it did; a group of them shares one flush, and none is answered before that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::{io, thread};

use ::sled::{Batch, Tree};
use portcullis_proto::revocation::Position;
use tokio::sync::{mpsc, oneshot, watch};

use super::log;
use super::rows::backend;
use super::tx::Tx;
use crate::store::StoreError;

/// Most operations that share one flush.
const GROUP: usize = 512;
/// Most operations that wait; whoever brings more waits to be let in.
const QUEUE: usize = 2 * GROUP;

/// Makes everything applied so far survive a power cut.
pub(super) type MakeDurable = Box<dyn FnMut() -> Result<(), StoreError> + Send>;

/// Decides one operation against the tree: what to write, and how to answer.
type Operation = Box<dyn FnOnce(&Tree) -> (Option<Batch>, Answer) + Send>;

/// Answers the caller, once it is known whether the write is durable.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The way to the committing thread. Dropping it waits until everything accepted is done.
pub(super) struct Committer {
    operations: Option<mpsc::Sender<Operation>>,
    thread: Option<JoinHandle<()>>,
    head: watch::Receiver<Position>,
    closed: Arc<AtomicBool>,
}

/// What the thread has.
struct Worker {
    /// For the log.
    path: PathBuf,
    tree: Tree,
    make_durable: MakeDurable,
    head: watch::Sender<Position>,
    closed: Arc<AtomicBool>,
}

// === impl Committer ===

impl Committer {
    /// Starts the thread of the store in the directory `path`. `head` is the log's head in the tree.
    pub(super) fn start(
        path: &Path,
        tree: Tree,
        head: Position,
        make_durable: MakeDurable,
    ) -> io::Result<Self> {
        let (operations, queue) = mpsc::channel(QUEUE);
        let (publish, head) = watch::channel(head);
        let closed = Arc::new(AtomicBool::new(false));
        let path = path.to_owned();
        let worker = Worker { path, tree, make_durable, head: publish, closed: Arc::clone(&closed) };
        let thread =
            thread::Builder::new().name("store-committer".into()).spawn(move || worker.run(queue))?;
        Ok(Self { operations: Some(operations), thread: Some(thread), head, closed })
    }

    /// Runs one operation, and answers when it is durable. It is done also where the caller stops waiting.
    pub(super) async fn submit<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.check_open()?;
        let (sender, receiver) = oneshot::channel();
        let operation: Operation = Box::new(move |tree| {
            let mut tx = Tx::new(tree);
            let outcome = operation(&mut tx);
            let batch = if outcome.is_ok() { tx.into_batch() } else { None };
            let answer: Answer = Box::new(move |durable| {
                let _ = sender.send(durable.and(outcome)); // the caller may have gone
            });
            (batch, answer)
        });
        let operations = self.operations.as_ref().ok_or(StoreError::Closed)?;
        operations.send(operation).await.map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Refuses where the thread has stopped: after a failure the tree may show what no disk holds.
    pub(super) fn check_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// The log's durable head.
    pub(super) const fn head(&self) -> &watch::Receiver<Position> {
        &self.head
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.operations = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there has closed the store already
        }
    }
}

// === impl Worker ===

impl Worker {
    fn run(mut self, mut queue: mpsc::Receiver<Operation>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let mut answers = Vec::with_capacity(group.len());
            if let Err(error) = self.commit(group.drain(..), &mut answers) {
                let path = self.path.display();
                tracing::error!(store = %path, %error, "the store has failed and is closed");
                self.closed.store(true, Ordering::Release);
                for answer in answers {
                    answer(Err(StoreError::Closed));
                }
                return;
            }
            for answer in answers {
                answer(Ok(()));
            }
        }
    }

    /// Applies the group and makes it durable. `answers` has those that were decided, also after a failure.
    fn commit(
        &mut self,
        group: impl Iterator<Item = Operation>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), StoreError> {
        let mut written = false;
        for operation in group {
            let (batch, answer) = operation(&self.tree);
            answers.push(answer);
            if let Some(batch) = batch {
                self.tree.apply_batch(batch).map_err(backend)?;
                written = true;
            }
        }
        if written {
            (self.make_durable)()?;
            let head = log::head(&self.tree)?;
            self.head.send_if_modified(|published| std::mem::replace(published, head) != head);
        }
        Ok(())
    }
}

/// Closes the store however the thread ends, also by a panic.
impl Drop for Worker {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
    }
}

//! Work that is nearly always done at once.

use std::task::{Context, Waker};

use hyper::rt::Executor;

/// Does on the spot what needs no waiting, and makes a task of the rest. A check waits for nothing where the record is
/// resident, so it need not be put on the scheduler's queue, and its task never becomes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eager;

// === impl Eager ===

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Eager {
    fn execute(&self, future: F) {
        let mut future = Box::pin(future);
        // Nobody is woken by this: the task looks at everything again, and it is the one to be woken.
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::spawn(future);
        }
    }
}

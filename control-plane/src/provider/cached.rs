//! A value that is fetched over the network when it is needed, and kept for a while.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ProviderError;

/// How long a failure is the answer: whoever comes meanwhile does not ask again.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// At most one fetch is under way at any time. Callers with a young enough value never wait for it.
///
/// Age is measured on tokio's clock, which tests can move.
#[derive(Debug)]
pub(super) struct Cached<T> {
    known: ArcSwap<Known<T>>,
    /// Held while a fetch is under way, by the caller whose fetch it is: its waiters are those who need the
    /// value. Should that caller go away, the next waiter fetches.
    flight: Mutex<()>,
}

#[derive(Debug)]
struct Known<T> {
    value: Option<(Arc<T>, Instant)>,
    failure: Option<(ProviderError, Instant)>,
}

// === impl Cached ===

impl<T> Cached<T> {
    pub(super) fn new() -> Self {
        Self { known: ArcSwap::from_pointee(Known { value: None, failure: None }), flight: Mutex::new(()) }
    }

    /// The value, not older than `max_age`; `fetch` is run only where there is none. A failed fetch leaves an
    /// older value to those whom it is young enough for.
    pub(super) async fn get(
        &self,
        max_age: Duration,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<T>, ProviderError> {
        if let Some(answer) = self.known.load().answer(max_age) {
            return answer;
        }
        let _flight = self.flight.lock().await;
        if let Some(answer) = self.known.load().answer(max_age) {
            return answer;
        }
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                let known = Known { value: Some((Arc::clone(&value), Instant::now())), failure: None };
                self.known.store(Arc::new(known));
                Ok(value)
            }
            Err(error) => {
                let value = self.known.load().value.clone();
                let known = Known { value, failure: Some((error.clone(), Instant::now())) };
                self.known.store(Arc::new(known));
                Err(error)
            }
        }
    }
}

// === impl Known ===

impl<T> Known<T> {
    fn answer(&self, max_age: Duration) -> Option<Result<Arc<T>, ProviderError>> {
        let value = self.value.as_ref().filter(|(_, at)| at.elapsed() < max_age);
        let failure = self.failure.as_ref().filter(|(_, at)| at.elapsed() < FAILURE_KEPT);
        match (value, failure) {
            (Some((value, _)), _) => Some(Ok(Arc::clone(value))),
            (None, Some((error, _))) => Some(Err(error.clone())),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// Each fetch takes a second and brings the number of fetches so far.
    async fn fetch(count: &AtomicU32) -> Result<u32, ProviderError> {
        sleep(Duration::from_secs(1)).await;
        Ok(count.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn fail(count: &AtomicU32) -> Result<u32, ProviderError> {
        fetch(count).await?;
        Err(ProviderError::Unreachable("down".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_makes_one_fetch() {
        let (cached, count) = (Cached::new(), AtomicU32::new(0));
        let get = || cached.get(HOUR, fetch(&count));
        let (a, b, c) = tokio::join!(get(), get(), get());
        assert_eq!([*a.unwrap(), *b.unwrap(), *c.unwrap()], [1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_fetched_again_when_it_is_too_old() {
        let (cached, count) = (Cached::new(), AtomicU32::new(0));
        assert_eq!(*cached.get(HOUR, fetch(&count)).await.unwrap(), 1);
        advance(Duration::from_secs(3599)).await;
        assert_eq!(*cached.get(HOUR, fetch(&count)).await.unwrap(), 1);
        assert_eq!(*cached.get(Duration::from_mins(1), fetch(&count)).await.unwrap(), 2);
        advance(HOUR).await;
        assert_eq!(*cached.get(HOUR, fetch(&count)).await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_the_answer_for_a_while() {
        let (cached, count) = (Cached::new(), AtomicU32::new(0));
        let get = || cached.get(HOUR, fail(&count));
        let (a, b) = tokio::join!(get(), get());
        assert!(a.is_err() && b.is_err());
        advance(Duration::from_secs(4)).await;
        assert!(get().await.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 1);
        advance(Duration::from_secs(1)).await;
        assert_eq!(*cached.get(HOUR, fetch(&count)).await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_fetch_spoils_no_older_value() {
        let (cached, count) = (Cached::new(), AtomicU32::new(0));
        assert_eq!(*cached.get(HOUR, fetch(&count)).await.unwrap(), 1);
        advance(Duration::from_mins(2)).await;
        assert!(cached.get(Duration::from_mins(1), fail(&count)).await.is_err());
        assert_eq!(*cached.get(HOUR, fetch(&count)).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_leaves_the_fetch_to_the_next() {
        let (cached, count) = (Cached::new(), AtomicU32::new(0));
        let short = tokio::time::timeout(Duration::from_millis(500), cached.get(HOUR, fetch(&count)));
        let (gone, stays) = tokio::join!(short, cached.get(HOUR, fetch(&count)));
        assert!(gone.is_err());
        assert_eq!(*stays.unwrap(), 1);
    }
}

//! What has been fetched, by its URL: so many at most, each fetched by one at a time.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::time::Instant;

use super::error::DocumentError;

/// How many are kept. Those that are asked for once go before those that are in use.
const CAPACITY: u64 = 1_000;
/// How long a failure is the answer: whoever comes meanwhile does not ask again. It keeps a stranger from making us ask
/// somebody's server over and over, and is too short to be noticed once that works.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// See the module. Age is measured on tokio's clock, which tests can move.
pub(super) struct Shelf<T>(Cache<String, Kept<T>>);

struct Kept<T> {
    answer: Result<Arc<T>, DocumentError>,
    /// When it was last asked for.
    at: Instant,
    until: Instant,
    /// Why there is nothing newer, where that was asked for in vain.
    no_newer: Option<DocumentError>,
}

// === impl Shelf ===

impl<T: Send + Sync + 'static> Shelf<T> {
    pub(super) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// What is kept under the URL, where it is still fresh and not older than `max_age`; or else what `fetch` brings,
    /// with the time that it is fresh for. Where that fails, what is still fresh stays for those to whom its age does not
    /// matter: whoever wants something newer cannot spoil it.
    pub(super) async fn get(
        &self,
        url: &str,
        max_age: Duration,
        fetch: impl Future<Output = Result<(T, Duration), DocumentError>>,
    ) -> Result<Arc<T>, DocumentError> {
        let fetch = async {
            let fetched = fetch.await;
            let at = Instant::now();
            let kept_for = fetched.as_ref().map_or(FAILURE_KEPT, |(_, fresh_for)| *fresh_for);
            let fetched = fetched.map(|(value, _)| Arc::new(value));
            let before = self.0.get(url).await.filter(|kept| kept.answer.is_ok() && kept.until > at);
            match (fetched, before) {
                (Err(error), Some(before)) => Kept { at, no_newer: Some(error), ..before },
                (answer, _) => Kept { answer, at, until: at + kept_for, no_newer: None },
            }
        };
        let is_old = |kept: &Kept<T>| {
            kept.until <= Instant::now() || kept.answer.is_ok() && kept.at.elapsed() >= max_age
        };
        let kept = self.0.entry_by_ref(url).or_insert_with_if(fetch, is_old).await.into_value();
        match kept.no_newer {
            Some(error) if max_age < Duration::MAX => Err(error),
            _ => kept.answer,
        }
    }

    /// What is kept under the URL, however old.
    pub(super) async fn kept(&self, url: &str) -> Option<Arc<T>> {
        self.0.get(url).await?.answer.ok()
    }
}

// === impl Kept ===

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        let Self { answer, no_newer, .. } = self;
        Self { answer: answer.clone(), no_newer: no_newer.clone(), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;

    const FRESH: Duration = Duration::from_hours(1);
    const DOWN: DocumentError = DocumentError::Unavailable("no connection");

    /// Each fetch takes a second and brings the number of fetches so far.
    async fn fetch(count: &AtomicU32) -> Result<(u32, Duration), DocumentError> {
        sleep(Duration::from_secs(1)).await;
        Ok((count.fetch_add(1, Ordering::SeqCst) + 1, FRESH))
    }

    async fn fail(count: &AtomicU32) -> Result<(u32, Duration), DocumentError> {
        fetch(count).await?;
        Err(DOWN)
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_are_one_fetch_for_each_url() {
        let (shelf, count) = (Shelf::new(), AtomicU32::new(0));
        let get = |url| shelf.get(url, Duration::MAX, fetch(&count));
        let (a, b, other) = tokio::join!(get("a"), get("a"), get("b"));
        assert_eq!(a, b);
        assert_ne!(a, other);
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_fresh_is_not_fetched_again_and_what_is_too_old_is() {
        let (shelf, count) = (Shelf::new(), AtomicU32::new(0));
        let get = async |max_age| *shelf.get("a", max_age, fetch(&count)).await.unwrap();
        assert_eq!(get(Duration::MAX).await, 1);
        advance(Duration::from_secs(3599)).await;
        assert_eq!(get(Duration::MAX).await, 1);
        advance(Duration::from_secs(1)).await;
        assert_eq!(get(Duration::MAX).await, 2);
        advance(Duration::from_mins(1)).await;
        assert_eq!(get(Duration::from_secs(61)).await, 2);
        assert_eq!(get(Duration::from_mins(1)).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_the_answer_for_a_few_seconds() {
        let (shelf, count) = (Shelf::new(), AtomicU32::new(0));
        assert_eq!(shelf.get("a", Duration::MAX, fail(&count)).await, Err(DOWN));
        advance(Duration::from_secs(4)).await;
        assert_eq!(shelf.get("a", Duration::MAX, fetch(&count)).await, Err(DOWN));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        advance(Duration::from_secs(1)).await;
        assert_eq!(shelf.get("a", Duration::MAX, fetch(&count)).await, Ok(Arc::new(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_something_newer_in_vain_leaves_what_is_fresh() {
        let (shelf, count) = (Shelf::new(), AtomicU32::new(0));
        let minute = Duration::from_mins(1);
        assert_eq!(shelf.get("a", Duration::MAX, fetch(&count)).await, Ok(Arc::new(1)));
        advance(minute).await;
        assert_eq!(shelf.get("a", minute, fail(&count)).await, Err(DOWN));
        assert_eq!(shelf.get("a", Duration::MAX, fail(&count)).await, Ok(Arc::new(1)));
        assert_eq!(shelf.get("a", minute, fail(&count)).await, Err(DOWN));
        assert_eq!(count.load(Ordering::SeqCst), 2, "and is not asked for again at once");
        advance(minute).await;
        assert_eq!(shelf.get("a", minute, fetch(&count)).await, Ok(Arc::new(3)));
        // It is no fresher for having been asked about.
        advance(Duration::from_mins(59)).await;
        assert_eq!(shelf.get("a", minute, fail(&count)).await, Err(DOWN));
        advance(minute).await;
        assert_eq!(shelf.get("a", Duration::MAX, fail(&count)).await, Err(DOWN));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_leaves_the_fetch_to_the_next() {
        let (shelf, count) = (Shelf::new(), AtomicU32::new(0));
        let short =
            tokio::time::timeout(Duration::from_millis(500), shelf.get("a", Duration::MAX, fetch(&count)));
        let (gone, stays) = tokio::join!(short, shelf.get("a", Duration::MAX, fetch(&count)));
        assert!(gone.is_err());
        assert_eq!(stays, Ok(Arc::new(1)));
    }

    #[tokio::test]
    async fn their_number_is_bounded() {
        let shelf = Shelf::new();
        for number in 0..3 * CAPACITY {
            let fetch = async { Ok((number, FRESH)) };
            shelf.get(&number.to_string(), Duration::MAX, fetch).await.unwrap();
        }
        shelf.0.run_pending_tasks().await;
        assert!(shelf.0.entry_count() <= CAPACITY);
    }
}

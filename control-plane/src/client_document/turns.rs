//! Whose turn it is to be fetched from. There are so many turns at a time, and of these so many for one site: a site that
//! does not answer keeps nobody else waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many turns there are at a time.
pub(super) const AT_A_TIME: usize = 16;
/// How many of them one site has.
pub(super) const OF_A_SITE: usize = 2;
/// How many may have a turn or wait for one. Whoever comes then is not waiting but one of a flood.
const CROWD: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    room: Arc<Semaphore>,
    sites: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_the_site: OwnedSemaphorePermit,
    _room: OwnedSemaphorePermit,
}

// === impl Turns ===

impl Turns {
    pub(super) fn new() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { all: semaphore(AT_A_TIME), room: semaphore(CROWD), sites: Mutex::default() }
    }

    /// Waits for a turn of the host's site; `None` where too many are waiting.
    pub(super) async fn take(&self, host: &str) -> Option<Turn> {
        let room = self.room.clone().try_acquire_owned().ok()?;
        // The site's first: whoever waits for that holds nothing that others wait for.
        let of_the_site = self.site(host).acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Turn { _of_all: of_all, _of_the_site: of_the_site, _room: room })
    }

    fn site(&self, host: &str) -> Arc<Semaphore> {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds or waits for. What is left is bounded as the crowd is.
        sites.retain(|_, turns| Arc::strong_count(turns) > 1);
        sites.entry(site(host)).or_insert_with(|| Arc::new(Semaphore::new(OF_A_SITE))).clone()
    }
}

/// The last two labels of a host's name: below them its owner has as many names as they like. Some registries sell names
/// with three labels; those share turns, which costs them time in a flood and nothing else.
fn site(host: &str) -> String {
    let start = host.rmatch_indices('.').nth(1).map_or(0, |(dot, _)| dot + 1);
    host[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_a_name_are_one_site() {
        for (host, expected) in [
            ("app.example", "app.example"),
            ("a.app.example", "app.example"),
            ("b.c.app.example", "app.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(site(host), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn t17_one_site_has_its_turns_and_leaves_the_others() {
        let turns = Turns::new();
        let mut held = Vec::new();
        for number in 0..OF_A_SITE {
            held.push(turns.take(&format!("{number}.evil.example")).await.unwrap());
        }
        let wait = std::time::Duration::from_mins(1);
        let late = tokio::time::timeout(wait, turns.take("more.evil.example")).await;
        assert!(late.is_err(), "it has to wait");
        turns.take("app.example").await.unwrap();
        held.pop();
        turns.take("more.evil.example").await.unwrap();
    }

    #[tokio::test]
    async fn there_are_so_many_at_a_time_and_sites_that_are_done_leave_nothing() {
        let turns = Turns::new();
        let mut held = Vec::new();
        for number in 0..AT_A_TIME {
            held.push(turns.take(&format!("site-{number}.example")).await.unwrap());
        }
        assert!(futures_now(turns.take("one-more.example")).is_none(), "it has to wait");
        held.clear();
        turns.take("app.example").await.unwrap();
        assert_eq!(turns.sites.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_bounded() {
        let turns = Arc::new(Turns::new());
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..CROWD {
            let turns = turns.clone();
            waiting.spawn(async move {
                let _turn = turns.take("evil.example").await;
                std::future::pending::<()>().await;
            });
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(turns.take("app.example").await.is_none());
        waiting.shutdown().await;
        assert!(turns.take("app.example").await.is_some());
    }

    /// What the future gives without waiting.
    fn futures_now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }
}

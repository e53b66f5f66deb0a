use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::{ManualClock, Timestamp};
use tokio::time::{Instant, advance};

use super::*;

struct World {
    gate: Gate,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
        let gate =
            Gate::new(ProviderName::new("corp"), clock.clone(), Arc::new(SystemRandom), Gauge::default());
        Self { gate, clock }
    }

    /// One call, with this outcome.
    async fn call(&self, outcome: Result<(), ProviderError>) -> Result<(), Shut> {
        self.gate.enter().await?.report(&outcome);
        Ok(())
    }

    fn is_paused(&self) -> bool {
        self.gate.paused.get() == 1
    }
}

fn down() -> Result<(), ProviderError> {
    Err(ProviderError::Unreachable("HTTP 500".into()))
}

fn busy(seconds: u64) -> Result<(), ProviderError> {
    let retry_after = Duration::from_secs(seconds);
    Err(ProviderError::Busy { reason: "HTTP 429".into(), retry_after })
}

#[tokio::test]
async fn a_provider_that_fails_is_tried_again_after_growing_pauses_and_then_used_as_before() {
    let world = World::new();
    world.call(down()).await.unwrap();
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert!(world.is_paused());
        assert_eq!(world.call(Ok(())).await, Err(Shut::Paused));
        world.clock.advance(Duration::from_millis(pause * 500 - 1));
        assert_eq!(world.call(Ok(())).await, Err(Shut::Paused), "half of {pause} s");
        world.clock.advance(Duration::from_millis(pause * 500 + 1));
        world.call(down()).await.unwrap();
    }
    world.clock.advance(Duration::from_mins(1));
    world.call(Ok(())).await.unwrap();
    assert!(!world.is_paused());
    let (first, second) = (world.gate.enter().await, world.gate.enter().await);
    assert!(first.is_ok() && second.is_ok(), "more than one at a time");
}

#[tokio::test]
async fn what_a_provider_says_of_one_grant_pauses_nobody() {
    let world = World::new();
    for error in [
        ProviderError::InvalidGrant,
        ProviderError::Refused("invalid_client".into()),
        ProviderError::Malformed("no JSON".into()),
    ] {
        world.call(Err(error)).await.unwrap();
        assert!(!world.is_paused());
    }
    world.call(Ok(())).await.unwrap();
}

#[tokio::test]
async fn a_providers_wish_is_granted_within_bounds() {
    for (wish, granted) in [(30, 30), (1_000_000, 300)] {
        let world = World::new();
        world.call(busy(wish)).await.unwrap();
        world.clock.advance(Duration::from_millis(granted * 1000 - 1));
        assert_eq!(world.call(Ok(())).await, Err(Shut::Paused));
        world.clock.advance(Duration::from_millis(1));
        world.call(Ok(())).await.unwrap();
    }
}

#[tokio::test]
async fn one_probes_at_a_time_and_one_that_asks_nothing_leaves_it_to_the_next() {
    let world = World::new();
    world.call(down()).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let probe = world.gate.enter().await.ok().unwrap();
    assert_eq!(world.call(Ok(())).await, Err(Shut::Paused));
    drop(probe);
    assert!(world.is_paused());
    world.call(Ok(())).await.unwrap();
    assert!(!world.is_paused());
}

#[tokio::test]
async fn calls_that_fail_together_are_one_failure() {
    let world = World::new();
    let mut passes = Vec::new();
    for _ in 0..CALLS {
        passes.push(world.gate.enter().await.ok().unwrap());
    }
    for pass in passes {
        pass.report(&down());
    }
    world.clock.advance(Duration::from_secs(1));
    world.call(Ok(())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn more_than_may_call_wait_for_a_while() {
    let world = World::new();
    let mut passes = Vec::new();
    for _ in 0..CALLS {
        passes.push(world.gate.enter().await.ok().unwrap());
    }
    let began = Instant::now();
    assert_eq!(world.call(Ok(())).await, Err(Shut::Crowded));
    assert_eq!(began.elapsed(), PATIENCE);
    let let_one_go = async {
        advance(PATIENCE / 2).await;
        drop(passes.pop());
    };
    let (entered, ()) = tokio::join!(world.call(Ok(())), let_one_go);
    assert_eq!(entered, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let gate = Arc::new(World::new().gate);
    let calls: Vec<_> = (0..CALLS).map(|_| gate.calls.try_acquire().unwrap()).collect();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..QUEUE {
        let gate = gate.clone();
        waiting.spawn(async move { gate.enter().await.map(drop) });
    }
    while gate.queue.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    assert!(matches!(gate.enter().await, Err(Shut::Crowded)));
    assert_eq!(began.elapsed(), Duration::ZERO);
    drop(calls);
    assert!(waiting.join_all().await.into_iter().all(|entered| entered.is_ok()));
}

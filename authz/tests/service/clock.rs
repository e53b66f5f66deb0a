//! What an instance makes of answers that are late, and of clocks that disagree.

use std::time::Duration;

use portcullis_proto::revocation::Scope;
use portcullis_proto::time::{Clock, SystemClock};

use crate::control_plane::eventually;
use crate::harness::{World, issue};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn t34_while_the_clocks_disagree_nothing_is_decided() {
    let mut world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    let now = SystemClock.now();
    for wrong in [now.after(MINUTE), now.before(MINUTE), now.after(MINUTE * 60 * 24 * 365)] {
        let probe = world.stream.probe().await;
        world.stream.answer(probe, wrong).await;
        eventually("the clock is found out", async || {
            world.service.check(&token).await.short() == (503, "clock_skew")
        })
        .await;
        eventually("health says so", async || world.service.serving().await == [false; 2]).await;
        assert!(world.service.get("/readyz").await.contains("clock"));
        world.stream.heartbeat().await;
        eventually("it decides again", async || world.service.check(&token).await.status == 200).await;
    }
}

#[tokio::test]
async fn t34_clocks_that_differ_a_little_do_not_matter() {
    let mut world = World::new().await;
    let little = Duration::from_secs(20);
    for near in [SystemClock.now().after(little), SystemClock.now().before(little)] {
        let probe = world.stream.probe().await;
        world.stream.answer(probe, near).await;
        world.stream.revoke(Scope::Everything).await;
        world.stream.applied().await; // so it has taken in what came before
        assert_eq!(world.service.check(&issue().0).await.short(), (401, "unknown"));
    }
}

/// The answers come each second, and each was asked for long ago: a network that holds everything back.
#[tokio::test]
async fn t32_a_heartbeat_is_as_old_as_its_question() {
    let mut world = World::with_staleness(Duration::from_secs(1)).await;
    let (token, record) = issue();
    world.control.knows(&record);
    let old = world.stream.probe().await;
    eventually("time passes", async || world.stream.probe().await > old + 2000).await;
    for _ in 0..5 {
        world.stream.answer(old, SystemClock.now()).await;
        assert_eq!(world.service.check(&token).await.short(), (503, "stale"));
    }
    eventually("it decides again", async || {
        world.stream.heartbeat().await;
        world.service.check(&token).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn t32_a_heartbeat_that_nobody_asked_for_makes_the_instance_start_over() {
    let mut world = World::new().await;
    let probe = world.stream.probe().await;
    world.stream.answer(probe + 3_600_000, SystemClock.now()).await;
    assert_eq!(world.control.accept().await.hello.position, None);
}

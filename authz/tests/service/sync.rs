use std::time::Duration;

use portcullis_proto::ids::{ClientId, Sequence};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Scope;
use tempfile::TempDir;

use crate::control_plane::{ControlPlane, Log, SOON, eventually};
use crate::harness::{Service, World, config, issue};

const LONG: Duration = Duration::from_mins(1);

fn somebody(name: &str) -> Scope {
    Scope::Client(ClientId::new(name))
}

#[tokio::test]
async fn an_instance_is_not_ready_before_it_has_caught_up() {
    let mut control = ControlPlane::start();
    let directory = TempDir::new().unwrap();
    let service = Service::start(config(&control, directory.path(), LONG)).await;
    let (token, record) = issue();
    control.knows(&record);
    assert_eq!(service.check(&token).await.short(), (503, "stale"));
    assert_eq!(service.serving().await, [false; 2]);
    assert!(service.get("/readyz").await.starts_with("HTTP/1.1 503"));

    let mut stream = control.accept().await;
    assert_eq!(stream.hello.instance, "edge-1");
    assert_eq!(stream.hello.position, None);
    stream.start_over().await;
    stream.catalog().await;
    let entry = stream.log.append(Scope::Client(record.client.clone()));
    stream.heartbeat().await; // names an entry that has not come
    stream.applied_at(Sequence(0)).await;
    assert_eq!(service.check(&token).await.short(), (503, "stale"));

    stream.entries(vec![entry]).await;
    service.ready().await;
    assert!(service.get("/readyz").await.starts_with("HTTP/1.1 200"));
    assert_eq!(service.check(&token).await.short(), (401, "revoked"));
}

#[tokio::test]
async fn t20_a_revocation_is_in_force_when_it_is_acknowledged() {
    let mut world = World::new().await;
    let (token, record) = issue();
    let (other, other_record) = issue();
    world.control.knows(&record);
    world.control.knows(&other_record);
    assert_eq!(world.service.check(&token).await.status, 200);
    world.stream.revoke(Scope::Token(token.id())).await;
    world.stream.applied().await;
    assert_eq!(world.service.check(&token).await.short(), (401, "revoked"));
    assert_eq!(world.service.check(&other).await.status, 200);
}

#[tokio::test]
async fn a_wide_revocation_spares_what_is_issued_after_it() {
    let mut world = World::new().await;
    world.stream.revoke(Scope::Everything).await;
    world.stream.applied().await;
    let (old, record) = issue();
    world.control.knows(&record);
    assert_eq!(world.service.check(&old).await.short(), (401, "revoked"));
    let (new, record) = issue();
    world.control.knows(&TokenRecord { born: Sequence(1), ..record });
    assert_eq!(world.service.check(&new).await.status, 200);
}

#[tokio::test]
async fn t32_a_stream_that_was_cut_continues_where_it_was() {
    let mut world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    assert_eq!(world.service.check(&token).await.status, 200);
    world.stream.revoke(somebody("x")).await;
    world.stream.applied().await;
    let mut log = world.stream.log;
    drop(world.stream);

    let mut stream = world.control.accept().await;
    assert_eq!(stream.hello.position, Some(log.0.into()));
    assert_eq!(world.service.check(&token).await.status, 200);
    let missed = vec![log.append(somebody("y")), log.append(Scope::Grant(record.grant))];
    stream.log = log;
    stream.entries(missed).await;
    stream.applied().await;
    assert_eq!(world.service.check(&token).await.short(), (401, "revoked"));
    assert_eq!(world.control.asked(), 1);
}

#[tokio::test]
async fn t32_a_gap_a_repetition_and_a_reversal_make_the_instance_start_over() {
    let mut log = Log::new(1);
    let (one, two) = (log.append(somebody("x")), log.append(somebody("y")));
    for wrong in [vec![two.clone()], vec![one.clone(), one.clone()], vec![two, one]] {
        let mut world = World::new().await;
        let (token, record) = issue();
        world.control.knows(&record);
        assert_eq!(world.service.check(&token).await.status, 200);
        world.stream.entries(wrong).await;

        let stream = world.control.catch_up(log).await;
        assert_eq!(stream.hello.position, None);
        eventually("the record is asked for again", async || {
            assert_ne!(world.service.check(&token).await.status, 401);
            world.control.asked() == 2
        })
        .await;
    }
}

#[tokio::test]
async fn after_a_gap_nothing_counts_before_starting_over() {
    let mut world = World::new().await;
    let mut log = world.stream.log;
    let (one, two) = (log.append(somebody("x")), log.append(somebody("y")));
    world.stream.entries(vec![two]).await;
    let stream = world.control.accept().await;
    assert_eq!(stream.hello.position, None);
    stream.entries(vec![one]).await; // would follow the position that is not trusted any more
    let stream = world.control.catch_up(log).await;
    assert_eq!(stream.hello.position, None);
}

#[tokio::test]
async fn t32_a_restored_older_control_plane_makes_the_instance_start_over() {
    let mut world = World::new().await;
    world.stream.revoke(somebody("x")).await;
    world.stream.applied().await;
    // The same sequence, but another history.
    world.stream.log = Log::new(1);
    world.stream.log.append(somebody("y"));
    world.stream.heartbeat().await;
    let stream = world.control.accept().await;
    assert_eq!(stream.hello.position, None);
    // Another epoch, on a stream that had not started over.
    drop(stream);
    let mut stream = world.control.catch_up(Log::new(1)).await;
    stream.applied().await;
    stream.log = Log::new(2);
    stream.heartbeat().await;
    assert_eq!(world.control.accept().await.hello.position, None);
}

/// The control plane would answer for the token even now: only the tombstone stands against it.
#[tokio::test]
async fn t20_a_revoked_token_stays_dead_after_a_restart() {
    let mut world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    assert_eq!(world.service.check(&token).await.status, 200);
    world.stream.revoke(Scope::Token(token.id())).await;
    world.stream.applied().await;
    let log = world.stream.log;
    world.service.stop().await.unwrap();

    let service = Service::start(config(&world.control, world.directory.path(), LONG)).await;
    assert_eq!(service.check(&token).await.short(), (503, "stale"));
    let stream = world.control.catch_up(log).await;
    assert_eq!(stream.hello.position, Some(log.0.into()));
    service.ready().await;
    assert_eq!(service.check(&token).await.short(), (401, "revoked"));
    let (new, record) = issue();
    world.control.knows(&TokenRecord { grant: record.grant.clone(), ..record });
    assert_eq!(service.check(&new).await.status, 200);
}

/// The control plane may come back from a backup that has the position and nothing after it. What hangs on more than the
/// position must be asked for anew.
#[tokio::test]
async fn t32_a_record_that_was_born_after_the_position_does_not_outlive_the_stream() {
    let mut world = World::new().await;
    let ((early, record), (late, late_record)) = (issue(), issue());
    world.control.knows(&record);
    world.control.knows(&TokenRecord { born: Sequence(5), ..late_record });
    for token in [&early, &late, &early, &late] {
        assert_eq!(world.service.check(token).await.status, 200);
    }
    assert_eq!(world.control.asked(), 2);
    drop(world.stream);
    let _stream = world.control.catch_up(Log::new(1)).await;
    eventually("the instance has reconnected", async || world.service.check(&late).await.status == 200).await;
    eventually("it has asked again", async || {
        assert_eq!(world.service.check(&early).await.status, 200);
        assert_eq!(world.service.check(&late).await.status, 200);
        world.control.asked() == 3
    })
    .await;

    world.service.stop().await.unwrap();
    let service = Service::start(config(&world.control, world.directory.path(), LONG)).await;
    let _stream = world.control.catch_up(Log::new(1)).await;
    service.ready().await;
    assert_eq!(service.check(&early).await.status, 200);
    assert_eq!(world.control.asked(), 3);
    assert_eq!(service.check(&late).await.status, 200);
    assert_eq!(world.control.asked(), 4);
}

/// The answer is of the control plane to which the last stream led.
#[tokio::test]
async fn t32_an_answer_from_before_the_stream_is_not_kept_where_it_was_born_after_the_position() {
    an_answer_from_before_the_stream_is_not_kept(Sequence(5)).await;
}

/// The new stream's position may be another log's: by it nobody can tell whether the answer counts there.
#[tokio::test]
async fn t32_no_answer_from_before_the_stream_is_kept() {
    an_answer_from_before_the_stream_is_not_kept(Sequence(0)).await;
}

async fn an_answer_from_before_the_stream_is_not_kept(born: Sequence) {
    let World { mut control, stream, service, directory: _directory } = World::new().await;
    let (late, record) = issue();
    control.knows(&TokenRecord { born, ..record });
    control.hold();
    let (verdict, _stream) = tokio::join!(service.check(&late), async {
        control.wait_asked(1).await;
        drop(stream);
        let stream = control.catch_up(Log::new(1)).await;
        control.release();
        stream
    });
    assert_eq!(verdict.status, 200);
    for asked in [2, 2] {
        assert_eq!(service.check(&late).await.status, 200);
        assert_eq!(control.asked(), asked);
    }
}

#[tokio::test]
async fn records_are_kept_across_a_restart() {
    let mut world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    assert_eq!(world.service.check(&token).await.status, 200);
    world.service.stop().await.unwrap();
    let service = Service::start(config(&world.control, world.directory.path(), LONG)).await;
    let _stream = world.control.catch_up(world.stream.log).await;
    service.ready().await;
    assert_eq!(service.check(&token).await.status, 200);
    assert_eq!(world.control.asked(), 1);
}

#[tokio::test]
async fn t33_without_heartbeats_everything_is_503_and_the_next_one_heals() {
    let mut world = World::with_staleness(Duration::from_millis(500)).await;
    let (token, record) = issue();
    world.control.knows(&record);
    eventually("the instance is stale", async || world.service.check(&token).await.status == 503).await;
    eventually("health says so", async || world.service.serving().await == [false; 2]).await;
    for authorization in [None, Some("Basic abc")] {
        assert_eq!(world.service.ask("demo", authorization).await.short(), (503, "stale"));
    }
    eventually("the token is accepted", async || {
        world.stream.heartbeat().await;
        world.service.check(&token).await.status == 200
    })
    .await;
}

/// The service runs on this test's thread, the control plane on its own.
#[tokio::test]
async fn t32_a_heartbeat_that_was_found_late_makes_nothing_current() {
    let mut world = World::with_staleness(Duration::from_secs(1)).await;
    let (token, record) = issue();
    world.control.knows(&record);
    world.stream.heartbeat().await;
    std::thread::sleep(Duration::from_secs(6)); // the whole process is stopped
    assert_eq!(world.service.check(&token).await.short(), (503, "stale"));
}

#[tokio::test]
async fn a_silent_stream_is_dropped_and_opened_again() {
    let mut world = World::new().await;
    let stream = tokio::time::timeout(SOON, world.control.accept()).await.unwrap();
    assert_eq!(stream.hello.position, Some(world.stream.log.0.into()));
    assert_eq!(world.service.serving().await, [true; 2]);
    world.stream.ended().await;
}

use std::time::Duration;

use portcullis_authz::RunError;
use portcullis_authz::replica::store::OpenError;
use portcullis_proto::revocation::Scope;
use tokio::time::timeout;

use crate::control_plane::{SOON, eventually};
use crate::harness::{Service, World, config, issue};

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_service_stops() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    world.control.hold();
    let (verdict, ()) = tokio::join!(world.service.check(&token), async {
        world.control.wait_asked(1).await;
        assert!(world.service.get("/readyz").await.starts_with("HTTP/1.1 200"));
        world.service.shutdown.cancel();
        assert!(world.service.get("/readyz").await.contains("stopping"));
        world.control.release();
    });
    assert_eq!(verdict.short(), (200, "allowed"));
    assert!(timeout(SOON, world.service.ended()).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_store_that_another_instance_uses_is_refused() {
    let world = World::new().await;
    let second = config(&world.control, world.directory.path(), Duration::from_mins(1));
    let error = Service::start(second).await.ended().await.unwrap_err();
    assert!(matches!(error, RunError::Open(OpenError::InUse(_))), "{error}");
}

#[tokio::test]
async fn operators_see_what_happens() {
    let mut world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    assert_eq!(world.service.check(&token).await.status, 200);
    world.stream.revoke(Scope::Grant(record.grant)).await;
    world.stream.applied().await;
    assert_eq!(world.service.check(&token).await.status, 401);
    assert!(world.service.get("/healthz").await.starts_with("HTTP/1.1 200"));
    let expected = [
        r#"portcullis_authz_decisions_total{decision="allow",reason="allowed"} 1"#,
        r#"portcullis_authz_decisions_total{decision="deny",reason="revoked"} 1"#,
        r#"portcullis_authz_resolves_total{outcome="record"} 1"#,
        "portcullis_authz_applied_sequence 1",
        "portcullis_authz_head_sequence 1",
        "portcullis_authz_records 1",
        "portcullis_authz_tombstones 1",
    ];
    eventually("every figure is right", async || {
        let metrics = world.service.get("/metrics").await;
        expected.iter().all(|line| metrics.lines().any(|candidate| candidate == *line))
    })
    .await;
    assert!(!world.service.get("/metrics").await.contains(token.expose()));
}

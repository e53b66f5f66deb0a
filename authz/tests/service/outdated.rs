//! Credentials that were made in another way than the server's are made now.

use std::time::Duration;

use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Token};
use portcullis_proto::v1::resolve_response::Outcome;
use portcullis_proto::v1::{Unavailable, Unknown};

use crate::control_plane::eventually;
use crate::harness::{Service, World, config, issue, record_with};

/// A world where a token's credential is known, and then is to be made in another way.
async fn outdated() -> (World, Token<Access>, TokenRecord) {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    assert_eq!(credential(&world, &token).await, "Bearer provider");
    world.control.hold();
    announce(&world, 1).await;
    (world, token, record)
}

/// Tells the instance that credentials are made in another way now, and waits until it knows.
async fn announce(world: &World, revision: u64) {
    world
        .stream
        .catalog_with(|server| {
            server.credential_revision = revision;
            server.scopes = vec![format!("revision-{revision}")];
        })
        .await;
    eventually("the instance has the catalog", async || {
        world.service.ask("demo", None).await.headers["www-authenticate"]
            .contains(&format!("revision-{revision}"))
    })
    .await;
}

async fn credential(world: &World, token: &Token<Access>) -> String {
    let verdict = world.service.check(token).await;
    assert_eq!(verdict.short(), (200, "allowed"));
    verdict.headers["authorization"].clone()
}

#[tokio::test]
async fn an_outdated_credential_is_replaced_while_the_request_waits() {
    let (world, token, _) = outdated().await;
    world.control.knows(&record_with(&token, "Bearer new", 1));
    let asked = world.control.asked();
    let ask = async || credential(&world, &token).await;
    let (one, two, three, ()) = tokio::join!(ask(), ask(), ask(), async {
        world.control.wait_asked(asked + 1).await;
        world.control.release();
    });
    // Whoever came before the question was on its way may still have had the old one, but nobody asks twice.
    assert!([&one, &two, &three].contains(&&"Bearer new".to_owned()), "{one}, {two}, {three}");
    assert_eq!(credential(&world, &token).await, "Bearer new");
    assert_eq!(world.control.asked(), asked + 1);
}

#[tokio::test]
async fn without_a_verdict_an_outdated_credential_is_used_and_not_asked_about_at_each_request() {
    let (world, token, _) = outdated().await;
    world.control.release();
    let asked = world.control.asked();
    world.control.answer(token.id(), Outcome::Unavailable(Unavailable {}));
    for _ in 0..20 {
        assert_eq!(credential(&world, &token).await, "Bearer provider");
    }
    assert_eq!(world.control.asked(), asked + 1);
    // Yet another way is asked for at once.
    world.control.knows(&record_with(&token, "Bearer newer", 2));
    announce(&world, 2).await;
    assert_eq!(credential(&world, &token).await, "Bearer newer");
}

#[tokio::test]
async fn an_answer_that_is_still_of_the_old_way_is_used_and_not_asked_for_again_at_once() {
    let (world, token, record) = outdated().await;
    world.control.release();
    let asked = world.control.asked();
    world.control.knows(&record);
    for _ in 0..20 {
        assert_eq!(credential(&world, &token).await, "Bearer provider");
    }
    assert_eq!(world.control.asked(), asked + 1);
}

#[tokio::test]
async fn t33_an_outdated_credential_outlasts_a_control_plane_that_is_gone() {
    let (world, token, _) = outdated().await;
    let World { control, service, stream, directory: _directory } = world;
    drop((control, stream));
    for _ in 0..3 {
        let verdict = service.check(&token).await;
        assert_eq!(
            (verdict.short(), verdict.headers["authorization"].as_str()),
            ((200, "allowed"), "Bearer provider")
        );
    }
}

#[tokio::test]
async fn an_outdated_credential_that_has_expired_too_is_not_used() {
    let (world, token, record) = outdated().await;
    world.control.release();
    let expired = TokenRecord { credential_expires_at: Some(Timestamp::from_millis(1)), ..record };
    world.control.knows(&expired);
    assert_eq!(world.service.check(&token).await.short(), (503, "credential_expired"));
}

#[tokio::test]
async fn t20_a_token_that_is_revoked_while_its_outdated_credential_is_replaced_is_refused() {
    let (mut world, token, record) = outdated().await;
    let asked = world.control.asked();
    let (verdict, ()) = tokio::join!(world.service.check(&token), async {
        world.control.wait_asked(asked + 1).await;
        world.stream.revoke(Scope::Grant(record.grant.clone())).await;
        world.stream.applied().await;
        world.control.release();
    });
    assert_eq!(verdict.short(), (401, "revoked"));
}

#[tokio::test]
async fn t20_a_no_to_the_question_about_an_outdated_credential_is_a_no() {
    let (world, token, _) = outdated().await;
    world.control.release();
    world.control.answer(token.id(), Outcome::Unknown(Unknown {}));
    for _ in 0..20 {
        assert_eq!(world.service.check(&token).await.short(), (401, "unknown"));
    }
}

#[tokio::test]
async fn records_on_disk_from_before_there_were_revisions_are_outdated_once() {
    let World { mut control, stream, service, directory } = World::new().await;
    let (token, record) = issue();
    control.knows(&record);
    assert_eq!(service.check(&token).await.status, 200);
    drop(stream);
    service.stop().await.unwrap();

    let service = Service::start(config(&control, directory.path(), Duration::from_mins(1))).await;
    let mut stream = control.accept().await;
    stream.catalog_with(|server| server.credential_revision = 9).await;
    stream.heartbeat().await;
    service.ready().await;
    control.knows(&record_with(&token, "Bearer new", 9));
    let asked = control.asked();
    for _ in 0..3 {
        assert_eq!(service.check(&token).await.headers["authorization"], "Bearer new");
    }
    assert_eq!(control.asked(), asked + 1);
}

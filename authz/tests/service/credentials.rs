use std::time::Duration;

use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Scope;
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::{Clock, SystemClock, Timestamp};
use portcullis_proto::v1::resolve_response::Outcome;
use portcullis_proto::v1::{Unavailable, Unknown};

use crate::control_plane::eventually;
use crate::harness::{World, issue};

fn expiring(record: &TokenRecord, expiry: Timestamp) -> TokenRecord {
    TokenRecord { credential_expires_at: Some(expiry), ..record.clone() }
}

fn expired(record: &TokenRecord) -> TokenRecord {
    expiring(record, Timestamp::from_millis(1))
}

#[tokio::test]
async fn an_expired_credential_is_renewed_while_the_request_waits() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&expired(&record));
    // The answer to the first question is of no use, so the same request asks once more.
    assert_eq!(world.service.check(&token).await.short(), (503, "credential_expired"));
    assert_eq!(world.control.asked(), 2);
    world.control.knows(&record);
    assert_eq!(world.service.check(&token).await.status, 200);
    assert_eq!(world.control.asked(), 3);
    assert_eq!(world.service.check(&token).await.status, 200);
    assert_eq!(world.control.asked(), 3);
}

#[tokio::test]
async fn t23_a_provider_that_is_down_makes_503_and_one_that_said_no_401() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&expired(&record));
    assert_eq!(world.service.check(&token).await.short(), (503, "credential_expired"));
    world.control.answer(token.id(), Outcome::Unavailable(Unavailable {}));
    assert_eq!(world.service.check(&token).await.short(), (503, "unresolved"));
    world.control.answer(token.id(), Outcome::Unknown(Unknown {}));
    assert_eq!(world.service.check(&token).await.short(), (401, "unknown"));
}

#[tokio::test]
async fn a_token_that_is_revoked_while_its_credential_is_renewed_is_refused() {
    let mut world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&expired(&record));
    assert_eq!(world.service.check(&token).await.status, 503);
    world.control.knows(&record);
    world.control.hold();
    let (verdict, ()) = tokio::join!(world.service.check(&token), async {
        world.control.wait_asked(3).await;
        world.stream.revoke(Scope::Grant(record.grant.clone())).await;
        world.stream.applied().await;
        world.control.release();
    });
    assert_eq!(verdict.short(), (401, "revoked"));
}

#[tokio::test]
async fn a_credential_in_its_last_minute_is_renewed_behind_the_request() {
    let world = World::new().await;
    let (token, record) = issue();
    let soon = SystemClock.now().after(Duration::from_secs(50));
    world.control.knows(&expiring(&record, soon));
    assert_eq!(world.service.check(&token).await.status, 200);
    world.control.wait_asked(2).await;
    // The renewal brought nothing new; it is not repeated with each request.
    for _ in 0..50 {
        assert_eq!(world.service.check(&token).await.status, 200);
    }
    assert_eq!(world.control.asked(), 2);
}

/// The control plane's word counts, though nobody has waited for it.
#[tokio::test]
async fn t20_a_no_to_the_question_ahead_of_time_is_a_no() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&expiring(&record, SystemClock.now().after(Duration::from_secs(50))));
    assert_eq!(world.service.check(&token).await.status, 200);
    // Whether the question behind that request still meets a yes or not; the next one comes within seconds.
    world.control.answer(token.id(), Outcome::Unknown(Unknown {}));
    eventually("the answer counts", async || world.service.check(&token).await.short() == (401, "unknown"))
        .await;
    let asked = world.control.asked();
    for _ in 0..3 {
        assert_eq!(world.service.check(&token).await.short(), (401, "unknown"));
    }
    assert_eq!(world.control.asked(), asked);
}

#[tokio::test]
async fn a_request_does_not_wait_for_a_renewal_ahead_of_time() {
    let world = World::new().await;
    let (token, record) = issue();
    let soon = SystemClock.now().after(Duration::from_secs(50));
    world.control.knows(&expiring(&record, soon));
    assert_eq!(world.service.check(&token).await.status, 200);
    world.control.hold();
    assert_eq!(world.service.check(&token).await.status, 200);
}

#[tokio::test]
async fn a_credential_that_does_not_open_is_neither_let_through_nor_the_clients_fault() {
    let world = World::new().await;
    let (token, record) = issue();
    let (_, other) = issue();
    let damaged = TokenRecord { credential: Sealed::from_bytes(&b"damaged"[..]), ..record.clone() };
    world.control.knows(&damaged);
    assert_eq!(world.service.check(&token).await.short(), (503, "credential_unusable"));
    let (token, record) = issue();
    world.control.knows(&TokenRecord { wrapped_key: other.wrapped_key, ..record });
    assert_eq!(world.service.check(&token).await.short(), (503, "credential_unusable"));
}

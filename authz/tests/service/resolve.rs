use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::{Address, SocketAddress, address};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Token};
use portcullis_proto::v1::resolve_response::Outcome;
use portcullis_proto::v1::{Unavailable, Unknown};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::control_plane::{Log, eventually};
use crate::harness::{Local, World, another, check, issue, request};

#[tokio::test]
async fn a_thousand_parallel_requests_with_a_new_token_make_one_question() {
    let directory = TempDir::new().unwrap();
    let local = Local::new(directory.path()).await;
    let (token, record) = issue();
    local.control.knows(&record);
    local.control.hold();
    let request = request("demo", Some(&format!("Bearer {}", token.expose())));
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let (checker, request) = (local.checker.clone(), request.clone());
        requests.spawn(async move { check(&checker, &request).await });
    }
    local.control.wait_asked(1).await;
    local.control.release();
    for verdict in requests.join_all().await {
        assert_eq!(verdict.short(), (200, "allowed"));
    }
    assert_eq!(local.control.asked(), 1);
}

#[tokio::test]
async fn a_question_outlives_the_request_that_began_it() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    world.control.hold();
    tokio::select! {
        verdict = world.service.check(&token) => panic!("answered too early: {verdict:?}"),
        () = world.control.wait_asked(1) => {} // the request is dropped here
    }
    world.control.release();
    assert_eq!(world.service.check(&token).await.short(), (200, "allowed"));
    assert_eq!(world.control.asked(), 1);
}

#[tokio::test]
async fn an_unknown_token_is_asked_about_once() {
    let world = World::new().await;
    let (token, _) = issue();
    for _ in 0..3 {
        assert_eq!(world.service.check(&token).await.short(), (401, "unknown"));
    }
    assert_eq!(world.control.asked(), 1);
}

#[tokio::test]
async fn an_outage_is_never_a_401_and_is_not_remembered() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.answer(token.id(), Outcome::Unavailable(Unavailable {}));
    for asked in 1..=2 {
        assert_eq!(world.service.check(&token).await.short(), (503, "unresolved"));
        assert_eq!(world.control.asked(), asked);
    }
    world.control.knows(&record);
    assert_eq!(world.service.check(&token).await.short(), (200, "allowed"));
}

#[tokio::test]
async fn a_control_plane_that_hangs_makes_503_before_envoy_gives_up() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    world.control.hold();
    let began = Instant::now();
    assert_eq!(world.service.check(&token).await.short(), (503, "unresolved"));
    assert!(began.elapsed() >= Duration::from_millis(800));
    world.control.release();
    eventually("the token is accepted", async || world.service.check(&token).await.status == 200).await;
}

#[tokio::test]
async fn t33_a_control_plane_that_is_gone_is_noticed_for_new_tokens_only() {
    let world = World::new().await;
    let (known, record) = issue();
    world.control.knows(&record);
    assert_eq!(world.service.check(&known).await.status, 200);
    drop(world.control);
    let (new, _) = issue();
    assert_eq!(world.service.check(&new).await.short(), (503, "unresolved"));
    assert_eq!(world.service.check(&known).await.status, 200);
}

/// A request from an address, with a token.
fn request_from(address: &str, token: &Token<Access>) -> CheckRequest {
    let mut request = request("demo", Some(&format!("Bearer {}", token.expose())));
    let socket = SocketAddress { address: address.to_owned(), ..SocketAddress::default() };
    let address = Address { address: Some(address::Address::SocketAddress(socket)) };
    let peer = Peer { address: Some(address), ..Peer::default() };
    request.attributes.as_mut().unwrap().source = Some(peer);
    request
}

#[tokio::test]
async fn t33_made_up_tokens_keep_no_other_token_from_being_asked_about() {
    let directory = TempDir::new().unwrap();
    let local = Local::new(directory.path()).await;
    let (resident, record) = issue();
    let expired = TokenRecord { credential_expires_at: Some(Timestamp::from_millis(1)), ..record.clone() };
    local.control.knows(&expired);
    check(&local.checker, &request_from("192.0.2.1", &resident)).await;
    local.control.knows(&record);
    let (new, record) = issue();
    local.control.knows(&record);

    local.control.hold();
    let before = local.control.asked();
    let mut made_up = JoinSet::new();
    for _ in 0..2_000 {
        let checker = local.checker.clone();
        made_up.spawn(async move { check(&checker, &request_from("2001:db8::1", &issue().0)).await });
    }
    eventually("a neighbourhood's share is on its way", async || local.control.asked() >= before + 64).await;
    let [resident, new] = [request_from("2001:db8::2", &resident), request_from("192.0.2.1", &new)];
    let (resident, new, ()) =
        tokio::join!(check(&local.checker, &resident), check(&local.checker, &new), async {
            local.control.wait_asked(before + 66).await;
            local.control.release();
        });
    assert_eq!(resident.short(), (200, "allowed"), "though from where the others come");
    assert_eq!(new.short(), (200, "allowed"));
    let verdicts = made_up.join_all().await;
    let asked = verdicts.iter().filter(|verdict| verdict.short() == (401, "unknown")).count();
    assert_eq!(asked, 64);
    assert!(verdicts.iter().all(|verdict| verdict.status == 401 || verdict.short() == (503, "unresolved")));
}

#[tokio::test]
async fn t33_requests_that_wait_are_bounded_and_a_known_token_never_waits() {
    let directory = TempDir::new().unwrap();
    let local = Local::new(directory.path()).await;
    let (known, record) = issue();
    local.control.knows(&record);
    let known = request_from("192.0.2.1", &known);
    assert_eq!(check(&local.checker, &known).await.status, 200);

    local.control.hold();
    let (made_up, _) = issue();
    let mut waiting = JoinSet::new();
    for _ in 0..10_000 {
        let (checker, request) = (local.checker.clone(), request_from("192.0.2.2", &made_up));
        waiting.spawn(async move { check(&checker, &request).await });
    }
    for _ in 0..10_000 - 1_024 {
        let verdict = waiting.join_next().await.unwrap().unwrap();
        assert_eq!(verdict.short(), (503, "unresolved"));
    }
    assert_eq!(check(&local.checker, &known).await.status, 200);
    local.control.release();
    for verdict in waiting.join_all().await {
        assert_eq!(verdict.short(), (401, "unknown"));
    }
}

/// No number of questions stands before a revocation.
#[tokio::test]
async fn t33_revocations_come_on_a_connection_of_their_own() {
    let world = World::new().await;
    assert_eq!(world.service.check(&issue().0).await.short(), (401, "unknown"));
    let [question, stream] = world.control.peers();
    assert_ne!(question, stream);
}

#[tokio::test]
async fn a_record_of_another_token_is_not_believed() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.answer(token.id(), Outcome::Record(TokenRecord { token: another(), ..record }.into()));
    assert_eq!(world.service.check(&token).await.short(), (503, "unresolved"));
}

/// The control plane reads the record, then the token is revoked, the revocation arrives, and only then
/// does the answer.
#[tokio::test]
async fn t32_an_answer_that_comes_after_the_revocation_resurrects_nothing() {
    for scope in [
        |record: &TokenRecord| Scope::Token(record.token),
        |record: &TokenRecord| Scope::Grant(record.grant.clone()),
        |record: &TokenRecord| Scope::Client(record.client.clone()),
        |_: &TokenRecord| Scope::Everything,
    ] {
        let mut world = World::new().await;
        let (token, record) = issue();
        world.control.knows(&record);
        world.control.hold();
        let (verdict, ()) = tokio::join!(world.service.check(&token), async {
            world.control.wait_asked(1).await;
            world.stream.revoke(scope(&record)).await;
            world.stream.applied().await;
            world.control.release();
        });
        assert_eq!(verdict.short(), (401, "revoked"));
        assert_eq!(world.service.check(&token).await.short(), (401, "revoked"));
    }
}

/// The same, but between the revocation and the answer the instance forgets everything: neither the
/// answer nor what was forgotten may count.
#[tokio::test]
async fn an_answer_that_comes_after_starting_over_is_not_used() {
    let mut world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    world.control.hold();
    let (verdict, ()) = tokio::join!(world.service.check(&token), async {
        world.control.wait_asked(1).await;
        world.stream.revoke(Scope::Grant(record.grant.clone())).await;
        world.stream.applied().await;
        world.stream.log = Log::new(2);
        world.stream.start_over().await;
        world.stream.applied_at(Log::new(2).0.sequence).await;
        world.control.release();
    });
    assert_eq!(verdict.short(), (503, "started_over"));
    world.control.answer(token.id(), Outcome::Unknown(Unknown {}));
    assert_eq!(world.service.check(&token).await.short(), (401, "unknown"));
    assert_eq!(world.control.asked(), 2);
}

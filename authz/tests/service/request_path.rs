use portcullis_proto::ids::ServerName;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::time::Timestamp;

use crate::harness::{World, issue};

#[tokio::test]
async fn a_good_token_is_swapped_for_the_credential() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    for _ in 0..2 {
        let verdict = world.service.check(&token).await;
        assert_eq!(verdict.short(), (200, "allowed"));
        assert_eq!(verdict.headers["authorization"], "Bearer provider");
        assert_eq!(verdict.headers["x-portcullis-subject"], "subject");
        assert!(verdict.removed.is_empty());
        assert_eq!(verdict.metadata["token_id"], token.id().short());
    }
    assert_eq!(world.control.asked(), 1);
}

#[tokio::test]
async fn t19_a_token_for_server_a_is_refused_at_server_b() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    let verdict = world.service.ask("other", Some(&format!("Bearer {}", token.expose()))).await;
    assert_eq!(verdict.short(), (401, "wrong_server"));
    assert!(verdict.headers["www-authenticate"].contains("error=\"invalid_token\""));
    let (token, record) = issue();
    world.control.knows(&TokenRecord { server: ServerName::new("gone"), ..record });
    assert_eq!(world.service.check(&token).await.short(), (401, "wrong_server"));
}

#[tokio::test]
async fn t24_garbage_is_refused_without_a_question() {
    let world = World::new().await;
    let (token, _) = issue();
    let (rest, last) = token.expose().split_at(55);
    let mistyped = format!("Bearer {rest}{}", if last == "0" { "1" } else { "0" });
    for (authorization, reason) in
        [(None, "missing_token"), (Some("Basic abc"), "malformed"), (Some(mistyped.as_str()), "malformed")]
    {
        assert_eq!(world.service.ask("demo", authorization).await.short(), (401, reason));
    }
    assert_eq!(world.control.asked(), 0);
}

#[tokio::test]
async fn a_server_that_the_catalog_does_not_have_is_an_outage_whatever_the_token() {
    let world = World::new().await;
    let (token, record) = issue();
    world.control.knows(&record);
    let authorization = format!("Bearer {}", token.expose());
    for server in ["", "nowhere"] {
        for authorization in [None, Some(authorization.as_str())] {
            let verdict = world.service.ask(server, authorization).await;
            assert_eq!(verdict.short(), (503, "unknown_server"));
            assert_eq!(verdict.headers["retry-after"], "2");
        }
    }
}

#[tokio::test]
async fn an_expired_token_and_one_without_scopes_are_told_apart() {
    let world = World::new().await;
    let (expired, record) = issue();
    world.control.knows(&TokenRecord { expires_at: Timestamp::from_millis(1), ..record });
    assert_eq!(world.service.check(&expired).await.short(), (401, "expired"));
    let (narrow, record) = issue();
    world.control.knows(&TokenRecord { scopes: vec!["openid".into()], ..record });
    let verdict = world.service.check(&narrow).await;
    assert_eq!(verdict.short(), (403, "insufficient_scope"));
    assert!(
        verdict.headers["www-authenticate"].contains("scope=\"openid tools\", error=\"insufficient_scope\"")
    );
}

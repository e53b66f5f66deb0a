use std::time::Duration;

use axum::http::{Request, header};
use portcullis_proto::ids::{ClientId, ProviderName, ServerName, Subject};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::revocation::Scope;
use portcullis_proto::token::{Access, Presented, Refresh, Token};

use super::harness::{DEMO, World};
use super::login::{confidential, public, query};
use crate::credential::compose;

#[tokio::test]
async fn an_access_token_goes_alone_and_a_refresh_token_takes_the_grant_along() {
    let world = World::new();
    let client = world.register(confidential("client_secret_basic")).await;
    let first = world.tokens(&client).await;
    let answer = world.revoke(&client, &first.access).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("cache-control")), (200, "", "no-store"));
    assert!(world.access_token(&first.access).await.is_none());
    let second = world.refresh(&client, &first.refresh, &[]).await.tokens();
    assert_eq!(world.revoke(&client, &second.refresh).await.status, 200);
    assert!(world.access_token(&second.access).await.is_none());
    assert_eq!(world.refresh(&client, &second.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    // Both again: the same answer, and no more entries.
    let revocations = world.revocations();
    assert_eq!(world.revoke(&client, &first.access).await.status, 200);
    assert_eq!(world.revoke(&client, &second.refresh).await.status, 200);
    assert_eq!(world.revocations(), revocations);
}

/// By the clock of authz, or once a clock that was ahead is right again, the token may still be good.
#[tokio::test]
async fn t20_an_access_token_is_revoked_also_when_it_seems_to_have_expired() {
    let world = World::new();
    let client = world.register(public()).await;
    let tokens = world.tokens(&client).await;
    world.clock.advance(Duration::from_hours(2));
    assert!(world.access_token(&tokens.access).await.is_none());
    assert_eq!(world.revoke(&client, &tokens.access).await.status, 200);
    assert_eq!(world.revocations(), 1);
}

#[tokio::test]
async fn t20_another_clients_token_and_garbage_are_answered_alike_and_nothing_happens() {
    let world = World::new();
    let (owner, other) = (world.register(public()).await, world.register(public()).await);
    let tokens = world.tokens(&owner).await;
    let code = world.log_in(&owner, &[]).await;
    let unknown = (Token::<Access>::generate(&SystemRandom), Token::<Refresh>::generate(&SystemRandom));
    let own = world.revoke(&owner, "garbage").await;
    for token in
        [&tokens.access, &tokens.refresh, unknown.0.expose(), unknown.1.expose(), &code, "pcl_at_x", "é"]
    {
        let answer = world.revoke(&other, token).await;
        assert_eq!((answer.status, &answer.headers, &answer.body), (200, &own.headers, &own.body), "{token}");
    }
    assert_eq!(world.revocations(), 0);
    assert!(world.access_token(&tokens.access).await.is_some());
    world.redeem(&owner, &code, &[]).await.tokens();
}

#[tokio::test]
async fn a_request_without_client_or_token_is_refused() {
    let world = World::new();
    let client = world.register(confidential("client_secret_basic")).await;
    let tokens = world.tokens(&client).await;
    let form = "application/x-www-form-urlencoded";
    let unauthenticated = query(&[("token", &tokens.access), ("client_id", &client.id)]);
    let answer = world.post("/revoke", form, unauthenticated).await;
    assert_eq!(answer.error(), (401, "invalid_client".into()));
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"portcullis\"");
    assert_eq!(world.revoke(&client, "").await.error(), (400, "invalid_request".into()));
    let json = Request::post("/revoke").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(world.send(json, "{}").await.error(), (400, "invalid_request".into()));
    assert!(world.access_token(&tokens.access).await.is_some());
}

#[tokio::test]
async fn t20_what_is_revoked_stays_dead_after_a_restart() {
    let world = World::new();
    let client = world.register(public()).await;
    let (by_access, by_refresh, kept) =
        (world.tokens(&client).await, world.tokens(&client).await, world.tokens(&client).await);
    world.revoke(&client, &by_access.access).await;
    world.revoke(&client, &by_refresh.refresh).await;
    let world = world.restart();
    assert!(world.access_token(&by_access.access).await.is_none());
    assert!(world.access_token(&by_refresh.access).await.is_none());
    assert_eq!(world.refresh(&client, &by_refresh.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    assert!(world.access_token(&kept.access).await.is_some());
    assert_eq!(world.revocations(), 2);
}

#[tokio::test]
async fn t20_whatever_an_operator_revokes_is_dead_and_a_new_login_is_not() {
    let client_of = |id: &str| Scope::Client(ClientId::new(id));
    let subject = Scope::Subject(ProviderName::new("corp"), Subject::new("jane"));
    let world = World::new();
    let client = world.register(public()).await;
    let mut dead = Vec::new();
    for scope in [client_of(&client.id), subject, Scope::Server(ServerName::new("demo")), Scope::Everything] {
        let (tokens, code) = (world.tokens(&client).await, world.log_in(&client, &[]).await);
        world.app.revoke(scope.clone(), "test").await.unwrap();
        assert!(world.access_token(&tokens.access).await.is_none(), "{scope:?}");
        assert_eq!(world.refresh(&client, &tokens.refresh, &[]).await.status, 400, "{scope:?}");
        assert_eq!(world.redeem(&client, &code, &[]).await.status, 400, "{scope:?}");
        let new = world.tokens(&client).await;
        assert!(world.access_token(&new.access).await.is_some(), "{scope:?}");
        dead.push((scope, tokens, code));
    }
    let world = world.restart();
    for (scope, tokens, code) in dead {
        assert!(world.access_token(&tokens.access).await.is_none(), "{scope:?}");
        let refresh = world.refresh(&client, &tokens.refresh, &[]).await;
        assert_eq!(refresh.error(), (400, "invalid_grant".into()), "{scope:?}");
        assert_eq!(
            world.redeem(&client, &code, &[]).await.error(),
            (400, "invalid_grant".into()),
            "{scope:?}"
        );
    }
    let new = world.tokens(&client).await;
    assert!(world.access_token(&new.access).await.is_some());
}

#[tokio::test]
async fn t19_a_token_says_which_server_it_is_for() {
    let world = World::serving(&[("demo", DEMO), ("other", "http://localhost:10000/other")]);
    let client = world.register(public()).await;
    for (resource, server) in [(DEMO, "demo"), ("http://localhost:10000/other", "other")] {
        let code = world.log_in(&client, &[("resource", resource)]).await;
        let tokens = world.redeem(&client, &code, &[]).await.tokens();
        let (token, grant) = world.access_token(&tokens.access).await.unwrap();
        let id = Presented::<Access>::parse(&tokens.access).unwrap().id();
        let credential = compose(&world.app, &token, &grant, world.now()).await.unwrap();
        assert_eq!(grant.record(id, token, credential).server.as_str(), server);
    }
}

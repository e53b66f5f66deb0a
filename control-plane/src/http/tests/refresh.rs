use std::time::Duration;

use portcullis_proto::ids::ProviderName;

use super::harness::{DEMO, World};
use super::login::{Client, confidential, public};
use crate::metrics::ScopeLabel;

/// Neither token is good any more.
async fn is_dead(world: &World, client: &Client, access: &str, refresh: &str) -> bool {
    let refused = world.refresh(client, refresh, &[]).await.error();
    world.access_token(access).await.is_none() && refused == (400, "invalid_grant".into())
}

#[tokio::test]
async fn a_refresh_rotates_the_refresh_token() {
    let world = World::new();
    for metadata in [public(), confidential("client_secret_post")] {
        let client = world.register(metadata).await;
        let first = world.tokens(&client).await;
        world.clock.advance(Duration::from_mins(50));
        let second = world.refresh(&client, &first.refresh, &[]).await.tokens();
        assert!(second.access != first.access && second.refresh != first.refresh);
        assert_eq!(second.scope, "openid email");
        assert!(world.access_token(&first.access).await.is_some(), "it lives until its own time is up");
        world.clock.advance(Duration::from_mins(59));
        assert!(world.access_token(&first.access).await.is_none());
        assert!(world.access_token(&second.access).await.is_some());
    }
}

#[tokio::test]
async fn t21_the_same_again_gets_the_very_same_answer_for_a_while() {
    let world = World::new();
    let client = world.register(public()).await;
    let first = world.tokens(&client).await;
    let again = || world.refresh(&client, &first.refresh, &[]);
    let (a, b, c, d) = tokio::join!(again(), again(), again(), again());
    world.clock.advance(Duration::from_millis(29_999));
    let late = again().await;
    for other in [&b, &c, &d, &late] {
        assert_eq!((other.status, &other.body), (200, &a.body), "byte for byte");
        assert_eq!(
            (other.header("cache-control"), other.header("content-type")),
            ("no-store", "application/json")
        );
    }
    assert!(world.access_token(&a.tokens().access).await.is_some());
    assert_eq!(world.revocations(), 0);
}

#[tokio::test]
async fn t21_once_the_successor_is_used_the_old_token_kills_the_grant() {
    let world = World::new();
    let client = world.register(public()).await;
    let (first, bystander) = (world.tokens(&client).await, world.tokens(&client).await);
    let second = world.refresh(&client, &first.refresh, &[]).await.tokens();
    let third = world.refresh(&client, &second.refresh, &[]).await.tokens();
    assert_eq!(world.refresh(&client, &first.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    assert!(is_dead(&world, &client, &third.access, &third.refresh).await);
    assert!(world.access_token(&first.access).await.is_none());
    assert!(world.access_token(&bystander.access).await.is_some(), "each login is its own grant");
}

#[tokio::test]
async fn t21_after_the_grace_the_old_token_kills_the_grant() {
    let world = World::new();
    let client = world.register(public()).await;
    let first = world.tokens(&client).await;
    let second = world.refresh(&client, &first.refresh, &[]).await.tokens();
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(world.refresh(&client, &first.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    assert!(is_dead(&world, &client, &second.access, &second.refresh).await);
}

#[tokio::test]
async fn t22_a_client_that_loses_every_answer_to_a_restart_stays_logged_in() {
    let mut world = World::new();
    let client = world.register(public()).await;
    let mut tokens = world.tokens(&client).await;
    for round in 0..3 {
        let lost = world.refresh(&client, &tokens.refresh, &[]).await;
        world = world.restart();
        world.clock.advance(Duration::from_secs(20));
        let found = world.refresh(&client, &tokens.refresh, &[]).await;
        assert_eq!(lost.body, found.body, "{round}");
        tokens = found.tokens();
        assert!(world.access_token(&tokens.access).await.is_some(), "{round}");
        world.clock.advance(Duration::from_hours(1));
    }
}

#[tokio::test]
async fn fewer_scopes_are_for_this_token_only_and_more_are_refused() {
    let world = World::new();
    let client = world.register(public()).await;
    let first = world.tokens(&client).await;
    for scope in ["openid email admin", "admin", "  "] {
        let answer = world.refresh(&client, &first.refresh, &[("scope", scope)]).await;
        assert_eq!(answer.error(), (400, "invalid_scope".into()), "{scope:?}");
    }
    let second = world.refresh(&client, &first.refresh, &[("scope", "email")]).await.tokens();
    assert_eq!(second.scope, "email");
    let (token, _) = world.access_token(&second.access).await.unwrap();
    assert_eq!(token.scopes.to_string(), "email");
    let third = world.refresh(&client, &second.refresh, &[]).await.tokens();
    assert_eq!(third.scope, "openid email");
    let code = world.log_in(&client, &[("scope", "openid")]).await;
    let narrow = world.redeem(&client, &code, &[]).await.tokens();
    let answer = world.refresh(&client, &narrow.refresh, &[("scope", "openid email")]).await;
    assert_eq!(answer.error(), (400, "invalid_scope".into()), "what was approved is the most");
}

#[tokio::test]
async fn t05_t16_another_client_or_resource_gets_nothing_and_consumes_nothing() {
    let world = World::serving(&[("demo", DEMO), ("other", "http://localhost:10000/other")]);
    let (client, thief) = (world.register(public()).await, world.register(public()).await);
    let code = world.log_in(&client, &[("resource", DEMO)]).await;
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    assert_eq!(world.refresh(&thief, &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    for resource in ["http://localhost:10000/other", "http://localhost:10000/nowhere", "other"] {
        let answer = world.refresh(&client, &tokens.refresh, &[("resource", resource)]).await;
        assert_eq!(answer.error(), (400, "invalid_target".into()), "{resource}");
    }
    let right = [("resource", "HTTP://LOCALHOST:10000/demo/mcp/")];
    let next = world.refresh(&client, &tokens.refresh, &right).await.tokens();
    // A used token in a thief's hands is no reason to log the client out.
    assert_eq!(world.refresh(&thief, &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    assert!(world.access_token(&next.access).await.is_some());
    assert_eq!(world.revocations(), 0);
}

#[tokio::test]
async fn a_refresh_token_lives_thirty_days_from_its_last_use() {
    let world = World::new();
    let client = world.register(public()).await;
    let mut tokens = world.tokens(&client).await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_hours(29 * 24));
        world.app.store.sweep(world.now(), 1000).await.unwrap();
        tokens = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    }
    world.clock.advance(Duration::from_hours(30 * 24));
    assert_eq!(world.refresh(&client, &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.revocations(), 0, "to be late is no sign of theft");
}

#[tokio::test]
async fn t20_nothing_is_issued_to_users_of_the_provider_that_the_server_was_moved_from() {
    let world = World::new();
    let client = world.register(public()).await;
    let tokens = world.tokens(&client).await;
    let code = world.log_in(&client, &[]).await;
    let world = world.restart_with(|config| {
        config.servers.values_mut().for_each(|server| server.provider = ProviderName::new("elsewhere"));
    });
    assert_eq!(world.refresh(&client, &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.redeem(&client, &code, &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.revocations(), 0);
}

#[tokio::test]
async fn t17_a_user_who_refreshes_in_a_loop_fills_nothing_and_goes_on() {
    let world = World::new();
    let client = world.register(public()).await;
    let mut tokens = world.tokens(&client).await;
    for _ in 0..100 {
        tokens = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    }
    world.clock.advance(Duration::from_mins(10));
    for _ in 0..50 {
        let answer = world.refresh(&client, &tokens.refresh, &[]).await;
        let again = answer.tokens();
        assert_eq!((&again.access, &again.refresh), (&tokens.access, &tokens.refresh));
        assert_eq!(answer.json()["expires_in"], 3000, "what is left");
    }
    let narrower = world.refresh(&client, &tokens.refresh, &[("scope", "email")]).await;
    assert_eq!(narrower.error(), (503, "temporarily_unavailable".into()));
    world.clock.advance(Duration::from_mins(20));
    let next = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    assert!(next.access != tokens.access && next.refresh != tokens.refresh);
    // 102 refresh tokens, 102 access tokens and their index, grant and its index, code, client; each but the indexes once.
    assert!(world.count_rows().await < 250);
}

#[tokio::test]
async fn what_ends_by_reuse_or_replay_is_counted_as_a_revocation() {
    let world = World::new();
    let client = world.register(public()).await;
    let counted = || world.app.metrics.revocations.get_or_create(&ScopeLabel { scope: "grant" }).get();
    let code = world.log_in(&client, &[]).await;
    world.redeem(&client, &code, &[]).await.tokens();
    world.redeem(&client, &code, &[]).await.error();
    assert_eq!(counted(), 1);
    let first = world.tokens(&client).await;
    world.refresh(&client, &first.refresh, &[]).await.tokens();
    world.clock.advance(Duration::from_secs(30));
    world.refresh(&client, &first.refresh, &[]).await.error();
    assert_eq!(counted(), 2);
}

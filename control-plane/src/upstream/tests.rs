mod moved;
mod other_credentials;
mod outage;
mod recheck;
mod replicas;
mod user;

use std::time::Duration;

use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Clock;

use self::user::User;
use super::*;
use crate::http::tests::provider::{Given, Script, unreachable};
use crate::provider::ProviderError;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_credential_is_refreshed_shortly_before_it_expires_and_not_earlier() {
    let user = User::new().await;
    user.pass(58 * MINUTE);
    assert_eq!(user.header().await, "Bearer s3cr3t-access-1");
    assert!(user.refreshes().is_empty());
    user.pass(MINUTE);
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1"]);
    user.pass(59 * MINUTE);
    user.header().await;
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1", "s3cr3t-refresh-2"]);
}

#[tokio::test]
async fn t23_fifty_who_ask_at_once_are_one_call_upstream() {
    let user = User::new().await;
    user.pass(2 * Duration::from_hours(1));
    let grant = user.grant().await.unwrap();
    for freshness in user.freshen_often(50, &grant).await {
        let Freshness::Good(grant) = freshness else { panic!("{freshness:?}") };
        assert_eq!(user.header_of(&grant), "Bearer s3cr3t-access-2");
    }
    assert_eq!(user.refreshes().len(), 1);
}

#[tokio::test]
async fn t23_a_provider_that_sends_no_new_refresh_token_leaves_the_old_one_good() {
    let user = User::new().await;
    user.world.provider.answers(|script| script.refresh.as_mut().unwrap().refresh = None);
    for _ in 0..2 {
        user.pass(59 * MINUTE);
        assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    }
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1", "s3cr3t-refresh-1"]);
}

#[tokio::test]
async fn t23_a_shorter_life_is_believed_and_no_life_means_for_good() {
    let user = User::new().await;
    user.pass(59 * MINUTE);
    let lives = |life| move |script: &mut Script| script.refresh.as_mut().unwrap().expires_in = life;
    user.world.provider.answers(lives(Some(5 * MINUTE)));
    user.header().await;
    user.pass(4 * MINUTE);
    user.world.provider.answers(lives(None));
    user.header().await;
    assert_eq!(user.refreshes().len(), 2);
    user.pass(Duration::from_hours(20));
    user.header().await;
    assert_eq!(user.refreshes().len(), 2);
}

#[tokio::test]
async fn t23_invalid_grant_ends_the_grant() {
    let user = User::new().await;
    user.pass(59 * MINUTE);
    user.world.provider.answers(|script| script.refresh = Err(ProviderError::InvalidGrant));
    let grant = user.grant().await.unwrap();
    assert!(matches!(user.freshen().await, Freshness::Dead));
    assert!(user.grant().await.is_none());
    assert_eq!(user.world.revocations(), 1);
    // Whoever has read the grant before hears the same, and nothing is revoked twice.
    assert!(matches!(freshen(&user.world.app, grant, user.world.now()).await.unwrap(), Freshness::Dead));
    assert_eq!((user.refreshes().len(), user.world.revocations()), (1, 1));
}

#[tokio::test]
async fn t23_any_other_failure_leaves_the_credential_while_it_lasts_and_is_not_tried_again_at_once() {
    for error in [
        unreachable(),
        ProviderError::Refused("invalid_client".into()),
        ProviderError::Refused("HTTP 400".into()),
        ProviderError::Malformed("no JSON".into()),
    ] {
        let user = User::new().await;
        user.world.provider.answers(|script| script.refresh = Err(error));
        user.pass(59 * MINUTE);
        for _ in 0..5 {
            assert_eq!(user.header().await, "Bearer s3cr3t-access-1");
        }
        user.pass(2 * MINUTE);
        for _ in 0..5 {
            assert!(matches!(user.freshen().await, Freshness::Unavailable));
        }
        assert_eq!(user.refreshes().len(), 2, "once more when the pause is over");
        assert!(user.grant().await.is_some(), "an outage logs nobody out");
        assert_eq!(user.world.revocations(), 0);
    }
}

#[tokio::test]
async fn t23_a_provider_that_never_answers_is_not_waited_for() {
    let user = User::new().await;
    let (app, clock) = (&user.world.app, &user.world.clock);
    user.world.provider.hold();
    user.pass(59 * MINUTE);
    let grant = user.grant().await.unwrap();
    let old = freshen(app, grant.clone(), clock.now()).await.unwrap();
    assert!(matches!(old, Freshness::Good(_)), "it is still good: {old:?}");
    user.pass(2 * MINUTE);
    let none = freshen(app, grant, clock.now()).await.unwrap();
    assert!(matches!(none, Freshness::Unavailable), "{none:?}");
    user.world.provider.go_on();
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    assert_eq!(user.refreshes().len(), 1, "asked once, whoever gave up meanwhile");
}

#[tokio::test]
async fn t23_whoever_asks_and_goes_away_takes_nothing_along() {
    let user = User::new().await;
    user.world.provider.hold();
    user.pass(59 * MINUTE);
    for _ in 0..3 {
        tokio::select! {
            biased;
            freshness = user.freshen() => panic!("{freshness:?}"),
            () = user.world.provider.asked_for_refreshes(1) => {}
        }
    }
    user.world.provider.go_on();
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1"], "shown once: twice would look like theft");
}

#[tokio::test]
async fn t23_whoever_has_read_the_grant_before_a_refresh_does_not_repeat_it() {
    let user = User::new().await;
    user.pass(59 * MINUTE);
    let stale = user.grant().await.unwrap();
    user.header().await;
    let Freshness::Good(grant) = freshen(&user.world.app, stale, user.world.now()).await.unwrap() else {
        panic!("not good")
    };
    assert_eq!(user.header_of(&grant), "Bearer s3cr3t-access-2");
    assert_eq!(user.refreshes().len(), 1);
}

#[tokio::test]
async fn a_grant_that_is_revoked_during_its_refresh_stays_dead() {
    let user = User::new().await;
    user.world.provider.hold();
    user.pass(59 * MINUTE);
    let grant = user.grant().await.unwrap();
    let revoke_meanwhile = async {
        user.world.provider.asked_for_refreshes(1).await;
        user.world.app.revoke(Scope::Grant(grant.id.clone()), "test").await.unwrap();
        user.world.provider.go_on();
    };
    let (freshness, ()) = tokio::join!(user.freshen(), revoke_meanwhile);
    assert!(matches!(freshness, Freshness::Dead), "{freshness:?}");
    assert!(user.grant().await.is_none());
}

#[tokio::test]
async fn without_a_refresh_token_a_credential_is_good_to_its_last_moment_and_then_the_grant_ends() {
    let user = User::given(|script| script.exchange.as_mut().unwrap().refresh = None).await;
    user.pass(Duration::from_millis(60 * 60 * 1000 - 1));
    assert_eq!(user.header().await, "Bearer s3cr3t-access-1");
    user.pass(Duration::from_millis(1));
    let grant = user.grant().await.unwrap();
    for freshness in user.freshen_often(10, &grant).await {
        assert!(matches!(freshness, Freshness::Dead), "{freshness:?}");
    }
    assert_eq!((user.refreshes().len(), user.world.revocations()), (0, 1));
}

#[tokio::test]
async fn a_credential_that_does_not_expire_is_never_refreshed() {
    let forever = Given { access: "s3cr3t-access-1", refresh: None, expires_in: None };
    let user = User::given(|script| script.exchange = Ok(forever)).await;
    user.pass(Duration::from_hours(23));
    assert_eq!(user.header().await, "Bearer s3cr3t-access-1");
    assert!(user.refreshes().is_empty());
}

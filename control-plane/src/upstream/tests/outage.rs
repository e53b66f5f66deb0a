//! A provider, or a grant at it, that fails for a while.

use std::time::Duration;

use portcullis_proto::ids::{GrantId, ProviderName};

use super::super::{Freshness, freshen};
use super::{MINUTE, User};
use crate::http::tests::login::public;
use crate::http::tests::provider::{Given, unreachable};
use crate::metrics::ProviderLabel;
use crate::oauth::grant::Grant;
use crate::oauth::renewal::Busy;
use crate::provider::ProviderError;
use crate::store::contract::fixtures::{code, parallel, token_id};

/// Refreshes under way at one provider, at most.
const AT_ONCE: usize = 16;

const NEW: Given =
    Given { access: "s3cr3t-access-2", refresh: None, expires_in: Some(Duration::from_hours(1)) };

/// Asks for all of them at once, and counts those that have a credential.
async fn good(user: &User, grants: &[Grant]) -> usize {
    let app = &user.world.app;
    let outcomes = parallel(grants.len(), async |number| {
        let grant = app.store.live_grant(&grants[number].id).await.unwrap().unwrap();
        matches!(freshen(app, grant, user.world.now()).await.unwrap(), Freshness::Good(_))
    });
    outcomes.await.into_iter().filter(|good| *good).count()
}

fn is_paused(user: &User) -> bool {
    let label = ProviderLabel { provider: ProviderName::new("corp").to_string() };
    user.world.app.metrics.provider_paused.get_or_create(&label).get() == 1
}

#[tokio::test]
async fn t23_a_provider_that_is_down_hears_little_of_many_grants_and_all_of_them_once_it_is_back() {
    let user = User::new().await;
    let grants = user.grants(100).await;
    user.world.provider.answers(|script| script.refresh = Err(unreachable()));
    user.pass(61 * MINUTE);
    // Everybody asks every 5 s, for 10 minutes.
    for _ in 0..120 {
        assert_eq!(good(&user, &grants).await, 0);
        user.pass(Duration::from_secs(5));
    }
    let calls = user.refreshes().len();
    // Pauses of 1, 2, 4, ... 60 s, or half as long: between 14 and 26 after the first calls.
    assert!((14..=26 + AT_ONCE).contains(&calls), "{calls} calls");
    assert!(is_paused(&user));
    assert_eq!(user.world.revocations(), 0);

    user.world.provider.answers(|script| script.refresh = Ok(NEW));
    user.pass(5 * MINUTE);
    // The first who asks finds out that the provider is back; so many at a time may wait for their turn.
    let mut rounds = 0;
    while good(&user, &grants).await < grants.len() {
        rounds += 1;
        assert!(rounds < 20, "it is back");
    }
    assert!(!is_paused(&user));
    assert_eq!(user.refreshes().len(), calls + grants.len());
}

#[tokio::test]
async fn t23_one_provider_is_asked_for_so_many_refreshes_at_a_time() {
    let user = User::new().await;
    let grants = user.grants(50).await;
    user.pass(61 * MINUTE);
    user.world.provider.hold();
    assert_eq!(good(&user, &grants).await, 0);
    assert_eq!(user.refreshes().len(), AT_ONCE);
    user.world.provider.go_on();
    user.world.provider.asked_for_refreshes(50).await;
    user.world.app.upstreams.finish().await;
    assert_eq!(good(&user, &grants).await, 50);
    assert_eq!(user.refreshes().len(), 50);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_left_alone_too() {
    let user = User::new().await;
    let own = user.grant().await.unwrap();
    // Sealed for another grant.
    let sealed = Grant { id: GrantId::new("another"), ..own.clone() };
    let app = &user.world.app;
    app.store.grant(sealed.clone(), token_id("code"), code(&sealed)).await.unwrap();
    user.pass(61 * MINUTE);
    assert_eq!(good(&user, std::slice::from_ref(&sealed)).await, 0);
    let renewal = app.store.live_grant(&sealed.id).await.unwrap().unwrap().upstream.renewal;
    assert!(matches!(renewal.busy(user.world.now()), Some(Busy::Deferred { .. })), "{renewal:?}");
    assert!(user.refreshes().is_empty() && !is_paused(&user));
}

#[tokio::test]
async fn who_waits_for_a_turn_when_the_process_stops_gets_none() {
    let user = User::new().await;
    let grants = user.grants(20).await;
    user.pass(61 * MINUTE);
    user.world.provider.hold();
    assert_eq!(good(&user, &grants).await, 0);
    let go_on = async { user.world.provider.go_on() };
    tokio::join!(user.world.app.upstreams.finish(), go_on);
    assert_eq!(user.refreshes().len(), AT_ONCE);
    assert_eq!(good(&user, &grants).await, AT_ONCE, "what was under way has been kept");
}

#[tokio::test]
async fn t23_a_grants_back_off_grows_and_survives_restarts() {
    let mut user = User::new().await;
    user.world.provider.answers(|script| script.refresh = Err(ProviderError::Refused("server_error".into())));
    user.pass(59 * MINUTE);
    user.freshen().await;
    for (failures, pause) in [5, 10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        assert_eq!(user.refreshes().len(), failures + 1);
        user.pass(Duration::from_millis(pause * 500 - 1));
        user = user.restart();
        user.freshen().await;
        assert_eq!(user.refreshes().len(), failures + 1, "less than half of {pause} s");
        user.pass(Duration::from_millis(pause * 500 + 1));
        user.freshen().await;
    }
    // A success ends it.
    user.world.provider.answers(|script| script.refresh = Ok(NEW));
    user.pass(5 * MINUTE);
    user.header().await;
    let calls = user.refreshes().len();
    user.world.provider.answers(|script| script.refresh = Err(ProviderError::Refused("server_error".into())));
    user.pass(59 * MINUTE);
    user.freshen().await;
    user.pass(Duration::from_secs(5));
    user.freshen().await;
    assert_eq!(user.refreshes().len(), calls + 2);
}

#[tokio::test]
async fn t23_a_failing_providers_pause_keeps_nobody_from_logging_in_and_blames_no_grant() {
    let user = User::new().await;
    let grants = user.grants(1).await;
    user.world.provider.answers(|script| script.refresh = Err(unreachable()));
    user.pass(61 * MINUTE);
    user.freshen().await;
    assert!(is_paused(&user));
    assert_eq!(good(&user, &grants).await, 0);
    assert_eq!(user.refreshes().len(), 1);
    let other = user.world.app.store.live_grant(&grants[0].id).await.unwrap().unwrap();
    assert_eq!(other.upstream, grants[0].upstream, "it has not been tried");
    let client = user.world.register(public()).await;
    user.world.tokens(&client).await;
}

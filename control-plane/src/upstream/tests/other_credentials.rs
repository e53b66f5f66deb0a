//! Servers that get another credential than the provider's: the provider is asked whether the user is still welcome,
//! and that is all that it can spoil.

use std::time::Duration;

use super::super::Freshness;
use super::{MINUTE, User};
use crate::http::tests::provider::unreachable;
use crate::provider::ProviderError;

#[tokio::test]
async fn the_provider_is_asked_in_time_all_the_same() {
    let user = User::without_credential(|_| {}).await;
    user.pass(58 * MINUTE);
    user.header().await;
    assert!(user.refreshes().is_empty());
    user.pass(MINUTE);
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1"]);
}

#[tokio::test]
async fn t23_invalid_grant_ends_a_grant_whose_credential_is_not_the_providers() {
    let user = User::without_credential(|_| {}).await;
    user.pass(59 * MINUTE);
    user.world.provider.answers(|script| script.refresh = Err(ProviderError::InvalidGrant));
    assert!(matches!(user.freshen().await, Freshness::Dead));
    assert!(user.grant().await.is_none());
    assert_eq!(user.world.revocations(), 1);
}

#[tokio::test]
async fn t23_a_provider_that_is_down_stops_nobody_whose_credential_is_not_the_providers() {
    for error in [unreachable(), ProviderError::Refused("HTTP 400".into())] {
        let user = User::without_credential(|_| {}).await;
        user.world.provider.answers(|script| script.refresh = Err(error));
        for pause in [59 * MINUTE, 2 * MINUTE, Duration::from_hours(10)] {
            user.pass(pause);
            assert!(matches!(user.freshen().await, Freshness::Good(_)));
        }
        assert_eq!((user.refreshes().len(), user.world.revocations()), (3, 0));
    }
}

#[tokio::test]
async fn without_a_refresh_token_the_end_of_the_providers_token_means_nothing() {
    let user = User::without_credential(|script| script.exchange.as_mut().unwrap().refresh = None).await;
    for _ in 0..3 {
        user.pass(Duration::from_hours(1));
        assert!(matches!(user.freshen().await, Freshness::Good(_)));
    }
    assert_eq!((user.refreshes().len(), user.world.revocations()), (0, 0));
}

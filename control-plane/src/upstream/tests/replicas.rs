//! Several control planes over one store.

use std::sync::Arc;
use std::time::Duration;

use super::super::refresh::LEASE;
use super::super::{Freshness, freshen};
use super::{MINUTE, User};
use crate::app::App;
use crate::http::tests::provider::{Given, Scripted};
use crate::provider::ProviderError;

/// Asks until there is a credential that has not expired.
async fn header_at(user: &User, app: &Arc<App>) -> String {
    let asking = async {
        loop {
            if let Freshness::Good(grant) = user.freshen_at(app).await {
                return user.header_of(&grant);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap()
}

/// A replica with a provider of its own, which takes questions and answers so when it is told to.
fn slow_replica(user: &User, answer: Result<Given, ProviderError>) -> (Arc<App>, Arc<Scripted>) {
    let provider = Arc::<Scripted>::default();
    provider.answers(|script| script.refresh = answer);
    provider.hold();
    (user.world.replica(&provider), provider)
}

const LATE: Given =
    Given { access: "s3cr3t-late", refresh: Some("s3cr3t-late"), expires_in: Some(Duration::from_hours(1)) };

#[tokio::test]
async fn t23_two_replicas_that_race_make_one_call_upstream() {
    let user = User::new().await;
    let provider = &user.world.provider;
    let replica = user.world.replica(provider);
    user.pass(61 * MINUTE);
    provider.hold();
    let answer = async {
        provider.asked_for_refreshes(1).await;
        provider.go_on();
    };
    let (one, other, ()) =
        tokio::join!(header_at(&user, &user.world.app), header_at(&user, &replica), answer);
    assert_eq!([one.as_str(), other.as_str()], ["Bearer s3cr3t-access-2"; 2]);
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1"]);
}

#[tokio::test]
async fn t23_a_replica_that_dies_during_a_refresh_is_waited_for_until_its_lease_runs_out() {
    let user = User::new().await;
    user.pass(59 * MINUTE);
    let (doomed, its_provider) = slow_replica(&user, Ok(LATE));
    let (grant, now) = (user.grant().await.unwrap(), user.world.now());
    let process = tokio::runtime::Runtime::new().unwrap();
    process.spawn(async move { freshen(&doomed, grant, now).await });
    its_provider.asked_for_refreshes(1).await;
    process.shutdown_background();

    assert_eq!(user.header().await, "Bearer s3cr3t-access-1");
    user.pass(LEASE.saturating_sub(Duration::from_millis(1)));
    assert_eq!(user.header().await, "Bearer s3cr3t-access-1");
    assert!(user.refreshes().is_empty(), "it may be waiting for its answer");
    // The old credential has lasted so long: nobody has noticed.
    user.pass(Duration::from_millis(1));
    for _ in 0..3 {
        assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    }
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1"]);
}

#[tokio::test]
async fn t23_what_comes_after_the_lease_is_not_written_over_the_successors_result() {
    let user = User::new().await;
    user.pass(59 * MINUTE);
    let (late, its_provider) = slow_replica(&user, Ok(LATE));
    let after = async {
        its_provider.asked_for_refreshes(1).await;
        user.pass(LEASE);
        assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
        its_provider.go_on();
    };
    let (freshness, ()) = tokio::join!(user.freshen_at(&late), after);
    let Freshness::Good(grant) = freshness else { panic!("{freshness:?}") };
    assert_eq!(user.header_of(&grant), "Bearer s3cr3t-access-2");
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
}

#[tokio::test]
async fn t23_an_invalid_grant_that_comes_after_the_lease_ends_nothing() {
    for successor_is_done in [true, false] {
        let user = User::new().await;
        let provider = &user.world.provider;
        user.pass(59 * MINUTE);
        let (late, its_provider) = slow_replica(&user, Err(ProviderError::InvalidGrant));
        provider.hold();
        let successor = async {
            its_provider.asked_for_refreshes(1).await;
            user.pass(LEASE);
            user.freshen().await
        };
        let answers = async {
            provider.asked_for_refreshes(1).await;
            for provider in
                if successor_is_done { [provider, &its_provider] } else { [&its_provider, provider] }
            {
                provider.go_on();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(user.freshen_at(&late), successor, answers);
        assert_eq!(user.header().await, "Bearer s3cr3t-access-2", "the old token was used up, not the grant");
        assert_eq!(user.world.revocations(), 0);
    }
}

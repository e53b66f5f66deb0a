//! Servers that have been moved to another provider: whoever logged in at the former one is nobody there.

use std::time::Duration;

use portcullis_proto::ids::ProviderName;

use super::super::Freshness;
use super::{MINUTE, User};
use crate::config::{Config, CredentialMode};
use crate::http::tests::provider::Given;
use crate::oauth::admission::{Condition, Rule, Rules};

/// What stays where it is is only the grant.
fn move_away(config: &mut Config) {
    for server in config.servers.values_mut() {
        server.provider = ProviderName::new("elsewhere");
    }
}

fn without_credential(config: &mut Config) {
    config.servers.values_mut().for_each(|server| server.credential = CredentialMode::None);
}

fn with_rules(config: &mut Config) {
    let acme = Rule::new(vec![Condition::Organization("acme".into())]).unwrap();
    config.servers.values_mut().for_each(|server| server.allow = Rules::new(vec![acme.clone()]));
}

#[tokio::test]
async fn t20_users_of_the_former_provider_are_out_whatever_the_credential_and_however_long_it_lasts() {
    let hour = Some(Duration::from_hours(1));
    for adjust in [(|_| {}) as fn(&mut Config), without_credential] {
        for (expires_in, refresh) in [(None, None), (hour, None), (hour, Some("s3cr3t-refresh-1"))] {
            let given = Given { access: "s3cr3t-access-1", refresh, expires_in };
            let user = User::of(adjust, |script| script.exchange = Ok(given)).await;
            assert!(matches!(user.freshen().await, Freshness::Good(_)));
            let moved = user.world.replica_with(&user.world.provider, move_away);
            for pause in [Duration::ZERO, 59 * MINUTE] {
                user.pass(pause);
                assert!(matches!(user.freshen_at(&moved).await, Freshness::Dead), "{expires_in:?} {pause:?}");
            }
            assert!(user.refreshes().is_empty(), "there is nothing to ask the former provider");
        }
    }
}

#[tokio::test]
async fn t20_rules_for_another_providers_users_let_nobody_stay() {
    let user = User::new().await;
    let moved = user.world.replica_with(&user.world.provider, |config| {
        move_away(config);
        with_rules(config);
    });
    user.pass(59 * MINUTE);
    assert!(matches!(user.freshen_at(&moved).await, Freshness::Dead));
    assert!(user.world.provider.identifications().is_empty());
}

#[tokio::test]
async fn a_server_that_is_moved_back_has_its_users_back() {
    let user = User::new().await;
    let moved = user.world.replica_with(&user.world.provider, move_away);
    assert!(matches!(user.freshen_at(&moved).await, Freshness::Dead));
    assert!(matches!(user.freshen().await, Freshness::Good(_)));
    assert_eq!(user.world.revocations(), 0);
}

//! Whether a user may still in, asked after a refresh.

use std::time::Duration;

use portcullis_proto::ids::Subject;

use super::super::refresh::CHECK_LEASE;
use super::super::{Freshness, freshen};
use super::{MINUTE, User};
use crate::config::{Config, CredentialMode};
use crate::credential::compose;
use crate::http::tests::provider::{Given, Scripted, jane, unreachable};
use crate::metrics::OutcomeLabel;
use crate::oauth::admission::{Condition, Facts, Rule, Rules};
use crate::provider::{Identity, ProviderError};

const NEW: Given = Given {
    access: "s3cr3t-access-3",
    refresh: Some("s3cr3t-refresh-3"),
    expires_in: Some(Duration::from_hours(1)),
};

fn members_only(config: &mut Config) {
    let acme = Rule::new(vec![Condition::Organization("acme".into())]).unwrap();
    for server in config.servers.values_mut() {
        server.allow = Rules::new(vec![acme.clone()]);
    }
}

fn member() -> Identity {
    jane(Facts { organizations: ["acme".to_owned()].into(), ..Facts::default() })
}

/// A member of the organization who has logged in, and still is one unless the provider says otherwise.
async fn user() -> User {
    User::of(members_only, |script| {
        script.user = member();
        script.identify = Ok(Some(member()));
    })
    .await
}

fn identifies(user: &User, answer: Result<Option<Identity>, ProviderError>) {
    user.world.provider.answers(|script| script.identify = answer);
}

fn counted(user: &User, outcome: &'static str) -> u64 {
    user.world.app.metrics.provider_refreshes.get_or_create(&OutcomeLabel { outcome }).get()
}

#[tokio::test]
async fn whoever_may_still_in_is_asked_about_once_a_refresh_and_notices_nothing() {
    let user = user().await;
    assert!(user.world.provider.identifications().is_empty());
    for n in 1..=3 {
        user.pass(59 * MINUTE);
        for _ in 0..3 {
            assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
        }
        assert_eq!(user.world.provider.identifications().len(), n);
    }
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-1", "s3cr3t-refresh-2", "s3cr3t-refresh-2"]);
    assert_eq!(user.world.provider.identifications()[0], "s3cr3t-access-2", "with the new token");
    assert_eq!(counted(&user, "refreshed"), 3);
}

#[tokio::test]
async fn without_rules_nobody_is_asked_about() {
    let user = User::new().await;
    user.pass(59 * MINUTE);
    user.header().await;
    assert!(user.world.provider.identifications().is_empty());
}

#[tokio::test]
async fn a_membership_that_is_lost_ends_the_grant() {
    for answer in [
        Ok(Some(jane(Facts::default()))),
        Err(ProviderError::NotAllowed("the session is not in the organization".into())),
        // Tokens of somebody else, whatever that one may.
        Ok(Some(Identity { subject: Subject::new("another"), ..member() })),
    ] {
        let user = user().await;
        user.pass(59 * MINUTE);
        identifies(&user, answer);
        let grant = user.grant().await.unwrap();
        assert!(matches!(user.freshen().await, Freshness::Dead));
        assert!(user.grant().await.is_none());
        assert_eq!((user.world.revocations(), counted(&user, "not_allowed")), (1, 1));
        // Whoever has read the grant before hears the same, and nothing is revoked twice.
        assert!(matches!(freshen(&user.world.app, grant, user.world.now()).await.unwrap(), Freshness::Dead));
        assert_eq!((user.refreshes().len(), user.world.revocations()), (1, 1));
    }
}

#[tokio::test]
async fn a_provider_that_says_nothing_after_the_login_leaves_it_at_that() {
    let user = user().await;
    user.pass(59 * MINUTE);
    identifies(&user, Ok(None));
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    user.pass(58 * MINUTE);
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    assert_eq!(user.refreshes().len(), 1, "it is good for its own hour");
}

#[tokio::test]
async fn who_cannot_be_asked_about_gains_no_time_and_loses_no_token() {
    for error in [unreachable(), ProviderError::IdToken("it has expired".into())] {
        let mut user = user().await;
        identifies(&user, Err(error));
        user.pass(59 * MINUTE);
        user.header().await;
        let stored = user.grant().await.unwrap().upstream;
        assert_eq!(stored.credential_expires_at, Some(user.world.now().after(MINUTE)), "the old one's");
        // The rotated refresh token is safe.
        user = user.restart();
        user.pass(MINUTE);
        assert!(matches!(user.freshen().await, Freshness::Unavailable));
        assert_eq!(user.refreshes(), ["s3cr3t-refresh-1", "s3cr3t-refresh-2"]);
        assert!(matches!(user.freshen().await, Freshness::Unavailable));
        assert_eq!(user.refreshes().len(), 2, "not at once again");
        assert_eq!(user.world.revocations(), 0);

        user.world.provider.answers(|script| {
            script.identify = Ok(Some(member()));
            script.refresh = Ok(NEW);
        });
        user.pass(5 * MINUTE);
        assert_eq!(user.header().await, "Bearer s3cr3t-access-3");
        user.pass(58 * MINUTE);
        assert_eq!(user.header().await, "Bearer s3cr3t-access-3");
        assert_eq!(user.refreshes().len(), 3);
    }
}

#[tokio::test]
async fn what_lives_shorter_than_the_old_one_counts_for_its_own_life() {
    let user = user().await;
    user.world.provider.answers(|script| {
        script.identify = Err(unreachable());
        script.refresh.as_mut().unwrap().expires_in = Some(Duration::from_secs(10));
    });
    user.pass(59 * MINUTE);
    user.header().await;
    let stored = user.grant().await.unwrap().upstream.credential_expires_at;
    assert_eq!(stored, Some(user.world.now().after(Duration::from_secs(10))));
}

#[tokio::test]
async fn the_back_off_grows_though_each_attempt_brings_new_tokens() {
    let user = user().await;
    identifies(&user, Err(ProviderError::Refused("userinfo: HTTP 401".into())));
    user.pass(59 * MINUTE);
    user.freshen().await;
    for (failures, pause) in [5, 10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        assert_eq!(user.refreshes().len(), failures + 1);
        user.pass(Duration::from_millis(pause * 500 - 1));
        user.freshen().await;
        assert_eq!(user.refreshes().len(), failures + 1, "less than half of {pause} s");
        user.pass(Duration::from_millis(pause * 500 + 1));
        user.freshen().await;
    }
}

#[tokio::test]
async fn a_provider_that_fails_only_then_is_left_alone_too() {
    let user = user().await;
    identifies(&user, Err(unreachable()));
    let grants = user.grants(5).await;
    user.pass(61 * MINUTE);
    user.freshen().await;
    for grant in grants {
        let freshness = freshen(&user.world.app, grant, user.world.now()).await.unwrap();
        assert!(matches!(freshness, Freshness::Unavailable), "{freshness:?}");
    }
    assert_eq!((user.refreshes().len(), counted(&user, "paused")), (1, 5));
}

#[tokio::test]
async fn a_process_that_dies_while_it_asks_loses_nothing_and_lets_nobody_stay_longer() {
    let user = user().await;
    user.pass(59 * MINUTE);
    let its_provider = std::sync::Arc::<Scripted>::default();
    its_provider.answers(|script| script.refresh = Ok(NEW));
    let doomed = user.world.replica(&its_provider);
    its_provider.hold_identities();
    let (grant, now) = (user.grant().await.unwrap(), user.world.now());
    let process = tokio::runtime::Runtime::new().unwrap();
    process.spawn(async move { freshen(&doomed, grant, now).await });
    its_provider.asked_who(1).await;
    process.shutdown_background();

    // What it got is safe, good for as long as the old one, and nobody else asks meanwhile.
    let kept = user.grant().await.unwrap();
    assert_eq!(kept.upstream.credential_expires_at, Some(user.world.now().after(MINUTE)));
    assert_eq!(user.header().await, "Bearer s3cr3t-access-3");
    user.pass(CHECK_LEASE.saturating_sub(Duration::from_millis(1)));
    user.header().await;
    assert!(user.refreshes().is_empty());
    user.pass(Duration::from_millis(1));
    assert_eq!(user.header().await, "Bearer s3cr3t-access-2");
    assert_eq!(user.refreshes(), ["s3cr3t-refresh-3"], "the rotated one");
    assert_eq!(user.world.provider.identifications().len(), 1);
}

#[tokio::test]
async fn nobody_gets_an_expired_credential_while_it_is_asked() {
    let user = user().await;
    user.pass(61 * MINUTE);
    user.world.provider.hold_identities();
    let other = user.world.replica(&user.world.provider);
    let before = user.grant().await.unwrap();
    let ask_elsewhere = async {
        user.world.provider.asked_who(1).await;
        // Whether they have read the grant before or only now.
        for grant in [before.clone(), user.grant().await.unwrap()] {
            let freshness = freshen(&other, grant, user.world.now()).await.unwrap();
            assert!(matches!(freshness, Freshness::Unavailable), "{freshness:?}");
        }
        user.world.provider.go_on();
    };
    let (freshness, ()) = tokio::join!(user.freshen(), ask_elsewhere);
    assert!(matches!(freshness, Freshness::Good(_)), "{freshness:?}");
    assert_eq!((user.refreshes().len(), user.world.provider.identifications().len()), (1, 1));
}

#[tokio::test]
async fn a_grant_that_is_revoked_while_it_is_asked_stays_dead() {
    let user = user().await;
    user.pass(59 * MINUTE);
    user.world.provider.hold_identities();
    let grant = user.grant().await.unwrap();
    let revoke_meanwhile = async {
        user.world.provider.asked_who(1).await;
        let scope = portcullis_proto::revocation::Scope::Grant(grant.id.clone());
        user.world.app.revoke(scope, "test").await.unwrap();
        user.world.provider.go_on();
    };
    let (freshness, ()) = tokio::join!(user.freshen(), revoke_meanwhile);
    assert!(matches!(freshness, Freshness::Dead), "{freshness:?}");
    assert_eq!(user.world.revocations(), 1);
}

#[tokio::test]
async fn a_credential_that_is_not_the_providers_lasts_longer_than_the_providers_only_where_there_are_no_rules()
 {
    fn without_credential(config: &mut Config) {
        for server in config.servers.values_mut() {
            server.credential = CredentialMode::None;
        }
    }
    fn with_rules(config: &mut Config) {
        without_credential(config);
        members_only(config);
    }
    for (adjust, rules) in [(without_credential as fn(&mut Config), false), (with_rules, true)] {
        let user = User::of(adjust, |script| script.user = member()).await;
        let (token, grant) = user.token().await;
        let providers = grant.upstream.credential_expires_at.unwrap();
        let late = providers.before(Duration::from_secs(10));
        let composed = compose(&user.world.app, &token, &grant, late).await.unwrap();
        assert_eq!(composed.expires_at == Some(providers), rules, "{:?}", composed.expires_at);
    }
}

/// Whether there is a refresh token, the user can decide, by what the browser asks the provider for.
#[tokio::test]
async fn without_a_refresh_token_nobody_stays_longer_than_the_rules_were_last_fulfilled() {
    fn with_rules(config: &mut Config) {
        for server in config.servers.values_mut() {
            server.credential = CredentialMode::None;
        }
        members_only(config);
    }
    let user = User::of(with_rules, |script| {
        script.user = member();
        script.exchange.as_mut().unwrap().refresh = None;
    })
    .await;
    let (token, grant) = user.token().await;
    let composed = compose(&user.world.app, &token, &grant, user.world.now()).await.unwrap();
    assert_eq!(composed.expires_at, grant.upstream.credential_expires_at);
    user.pass(59 * MINUTE);
    assert!(matches!(user.freshen().await, Freshness::Good(_)));
    user.pass(MINUTE);
    assert!(matches!(user.freshen().await, Freshness::Dead));
    assert!(user.grant().await.is_none());
}

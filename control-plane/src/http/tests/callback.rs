use std::time::Duration;

use axum::http::Request;
use portcullis_proto::ids::{ClientId, ProviderName, Subject};
use portcullis_proto::revocation::Scope;

use super::answer::{Answer, param};
use super::harness::{ISSUER, World};
use super::login::{Browser, Client, Page, REDIRECT, public, query};
use super::provider::{IDP, jane, unreachable};
use crate::config::Config;
use crate::metrics::OutcomeLabel;
use crate::oauth::admission::{Condition, Facts, Questions, Rule, Rules};
use crate::provider::ProviderError;

/// A login that has come as far as the provider.
struct Begun {
    world: World,
    client: Client,
    page: Page,
    state: String,
}

async fn begun(world: World) -> Begun {
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let state = param(&world.approve(&page).await, "state");
    Begun { world, client, page, state }
}

impl Begun {
    async fn back(&self, browser: &Browser) -> Answer {
        self.back_with(browser, &[("code", "s3cr3t-code")]).await
    }

    async fn back_with(&self, browser: &Browser, params: &[(&str, &str)]) -> Answer {
        let params: Vec<_> =
            [("state", self.state.as_str())].into_iter().chain(params.iter().copied()).collect();
        self.world.callback(browser, &params).await
    }

    /// A page that leads back to the client with this error; nothing half-made stays, and the login is over.
    async fn assert_over(&self, answer: &Answer, status: u16, error: &str) {
        assert!(answer.is_page(status), "{answer:#?}");
        assert!(answer.body.contains("Back to Story"), "{answer:#?}");
        let back = answer.button();
        assert!(back.as_str().starts_with(REDIRECT));
        assert_eq!((param(&back, "error").as_str(), param(&back, "code").as_str()), (error, ""));
        assert_eq!(
            (param(&back, "iss").as_str(), param(&back, "state").as_str()),
            (ISSUER, "the client's state")
        );
        assert!(self.back(&self.page.browser).await.is_page(403));
        assert_eq!(self.world.count_rows().await, 1, "the client, and no more");
    }
}

#[tokio::test]
async fn t09_another_browser_is_refused_and_the_approver_can_still_finish() {
    let login = begun(World::new()).await;
    let victim = login.world.authorize(&login.client, &[]).await.browser;
    assert!(login.back(&victim).await.is_page(403));
    assert!(login.back(&Browser::default()).await.is_page(403));
    assert!(login.back_with(&victim, &[("error", "access_denied")]).await.is_page(403));
    assert_eq!(login.world.provider.exchanges().len(), 0);
    let back = login.back(&login.page.browser).await.redirect();
    assert_eq!(param(&back, "iss"), ISSUER);
    assert!(param(&back, "code").starts_with("pcl_ac_"));
}

#[tokio::test]
async fn t09_state_is_good_once() {
    let login = begun(World::new()).await;
    let browser = &login.page.browser;
    let (one, other) = tokio::join!(login.back(browser), login.back(browser));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 403]);
    assert!(login.back(browser).await.is_page(403));
    assert_eq!(login.world.provider.exchanges().len(), 1);
}

#[tokio::test]
async fn t09_state_is_good_for_ten_minutes() {
    let login = begun(World::new()).await;
    login.world.clock.advance(Duration::from_millis(10 * 60 * 1000 - 1));
    login.back(&login.page.browser).await.redirect();
    let late = begun(World::new()).await;
    late.world.clock.advance(Duration::from_mins(10));
    assert!(late.back(&late.page.browser).await.is_page(403));
}

#[tokio::test]
async fn t07_t15_made_up_and_malformed_answers_are_refused() {
    let login = begun(World::new()).await;
    for bad in ["", "code=x", "state=&code=x", "state=made-up&code=x", "state=%ff&code=x"] {
        let request = Request::get(format!("/callback?{bad}"));
        assert!(login.world.send(login.page.browser.with(request), "").await.is_page(403), "{bad}");
    }
    let twice = query(&[("state", &login.state), ("state", &login.state), ("code", "x")]);
    let request = Request::get(format!("/callback?{twice}"));
    assert!(login.world.send(login.page.browser.with(request), "").await.is_page(403));
    // A HEAD promises to change nothing.
    let uri = format!("/callback?{}", query(&[("state", &login.state), ("code", "s3cr3t-code")]));
    let head = login.world.send(login.page.browser.with(Request::head(uri)), "").await;
    assert_eq!((head.status, head.header("allow")), (405, "GET"));
    login.back(&login.page.browser).await.redirect();
}

#[tokio::test]
async fn t13_the_providers_no_goes_to_the_client() {
    let login = begun(World::new()).await;
    let answer = login.back_with(&login.page.browser, &[("error", "access_denied"), ("iss", IDP)]).await;
    let back = answer.redirect();
    assert_eq!(param(&back, "error"), "access_denied");
    assert_eq!(param(&back, "iss"), ISSUER);
    assert_eq!(param(&back, "state"), "the client's state");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(login.world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn t18_what_else_the_provider_says_is_not_passed_on() {
    for params in [
        &[("error", "server_error"), ("error_description", "s3cr3t-internals")][..],
        &[("error", "<script>s3cr3t</script>")],
        &[("error", "access_denied"), ("iss", "https://evil.example")],
        &[],
    ] {
        let login = begun(World::new()).await;
        let answer = login.back_with(&login.page.browser, params).await;
        assert!(!format!("{answer:?}").contains("s3cr3t"), "{answer:#?}");
        login.assert_over(&answer, 502, "server_error").await;
    }
}

#[tokio::test]
async fn t13_a_code_with_another_providers_iss_is_not_exchanged() {
    let login = begun(World::new()).await;
    let params = [("code", "s3cr3t-code"), ("iss", "https://evil.example")];
    let answer = login.back_with(&login.page.browser, &params).await;
    assert_eq!(login.world.provider.exchanges().len(), 0);
    login.assert_over(&answer, 502, "server_error").await;
}

#[tokio::test]
async fn t13_a_provider_that_has_no_iss_of_its_own_is_not_shown_the_code_of_another() {
    for (iss, exchanged) in [(IDP, 0), ("https://its.own.example", 1)] {
        let world = World::with(|config| {
            let corp = config.providers.values().next().unwrap().clone();
            config.providers.insert(ProviderName::new("another"), corp);
        });
        world.provider.answers(|script| script.anonymous = true);
        let login = begun(world).await;
        let answer = login.back_with(&login.page.browser, &[("code", "s3cr3t-code"), ("iss", iss)]).await;
        assert_eq!(login.world.provider.exchanges().len(), exchanged, "{iss}");
        if exchanged == 0 {
            login.assert_over(&answer, 502, "server_error").await;
        }
    }
}

#[tokio::test]
async fn t35_a_provider_that_is_down_or_refuses_gets_a_page_and_nothing_stays() {
    for (error, code) in [
        (unreachable(), "temporarily_unavailable"),
        (ProviderError::InvalidGrant, "server_error"),
        (ProviderError::Malformed("no JSON".into()), "server_error"),
        (ProviderError::IdToken("expired".into()), "server_error"),
    ] {
        let login = begun(World::new()).await;
        login.world.provider.answers(|script| script.exchange = Err(error));
        let answer = login.back(&login.page.browser).await;
        login.assert_over(&answer, 502, code).await;
    }
}

#[tokio::test]
async fn an_account_that_may_not_log_in_gets_a_page_that_says_so() {
    let login = begun(World::new()).await;
    let error = ProviderError::NotAllowed("s3cr3t".into());
    login.world.provider.answers(|script| script.exchange = Err(error));
    let answer = login.back(&login.page.browser).await;
    assert!(answer.body.contains("This account has no access") && !answer.body.contains("s3cr3t"));
    login.assert_over(&answer, 403, "access_denied").await;
}

/// Only those of the domain.
fn of_example_com(config: &mut Config) {
    let rule = Rule::new(vec![Condition::EmailDomain("example.com".into())]).unwrap();
    for server in config.servers.values_mut() {
        server.allow = Rules::new(vec![rule.clone()]);
    }
}

#[tokio::test]
async fn whom_no_rule_lets_in_gets_the_same_page_and_nothing_is_kept() {
    // The address is right, but nobody vouches for it.
    let login = begun(World::with(of_example_com)).await;
    let answer = login.back(&login.page.browser).await;
    assert!(answer.body.contains("This account has no access"), "{answer:#?}");
    let count = login.world.app.metrics.logins.get_or_create(&OutcomeLabel { outcome: "not_allowed" }).get();
    assert_eq!(count, 1);
    login.assert_over(&answer, 403, "access_denied").await;
}

#[tokio::test]
async fn whom_a_rule_lets_in_is_in() {
    let login = begun(World::with(of_example_com)).await;
    let facts = Facts { email_verified: true, ..Facts::default() };
    login.world.provider.answers(|script| script.user = jane(facts));
    let back = login.back(&login.page.browser).await.redirect();
    assert!(param(&back, "code").starts_with("pcl_ac_"));
    let asked = &login.world.provider.exchanges()[0].questions;
    assert_eq!(*asked, Questions { email: true, ..Questions::default() });
}

#[tokio::test]
async fn t20_whoever_is_revoked_while_the_provider_is_asked_is_not_let_in() {
    let login = begun(World::new()).await;
    login.world.provider.hold();
    let mut exchanges = login.world.provider.watch_exchanges();
    let revoke = async {
        exchanges.wait_for(|exchanges| !exchanges.is_empty()).await.unwrap();
        let scope = Scope::Subject(ProviderName::new("corp"), Subject::new("jane"));
        let app = &login.world.app;
        app.revoke(scope, "test").await.unwrap();
        for _ in 0..20 {
            app.store.sweep(app.now(), 1000).await.unwrap();
        }
        login.world.provider.go_on();
    };
    let (answer, ()) = tokio::join!(login.back(&login.page.browser), revoke);
    assert!(answer.is_page(502), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "server_error");
    assert!(login.world.app.store.grants(None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn t20_whoever_revokes_a_client_ends_its_logins_that_are_under_way() {
    let login = begun(World::new()).await;
    let scope = Scope::Client(ClientId::new(login.client.id.clone()));
    login.world.app.revoke(scope, "test").await.unwrap();
    assert!(login.back(&login.page.browser).await.is_page(403));
    assert!(login.world.provider.exchanges().is_empty());
}

#[tokio::test]
async fn t35_a_provider_that_never_answers_gets_a_page_before_the_edge_gives_up() {
    let login = begun(World::new()).await;
    login.world.provider.hold();
    let mut exchanges = login.world.provider.watch_exchanges();
    // The store is a thread of its own, so time stands still only once the provider has been asked.
    let stop_time = async {
        exchanges.wait_for(|exchanges| !exchanges.is_empty()).await.unwrap();
        tokio::time::pause();
        tokio::time::Instant::now()
    };
    let (answer, began) = tokio::join!(login.back(&login.page.browser), stop_time);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    tokio::time::resume();
    login.assert_over(&answer, 502, "temporarily_unavailable").await;
}

#[tokio::test]
async fn a_client_that_was_forgotten_meanwhile_gets_nothing() {
    let world = World::with(|config| config.lifetimes.unused_client = Duration::from_mins(5));
    let login = begun(world).await;
    login.world.clock.advance(Duration::from_mins(5));
    let answer = login.back(&login.page.browser).await;
    assert!(answer.is_page(502), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "server_error");
}

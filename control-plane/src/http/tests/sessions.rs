use std::time::Duration;

use axum::http::Request;
use portcullis_proto::ids::{ProviderName, ServerName, Subject};
use portcullis_proto::revocation::Scope;

use super::account::{Visit, visit};
use super::answer::{Answer, param};
use super::checker::Checker;
use super::harness::{ISSUER, World};
use super::login::Browser;
use super::provider::{unreachable, user};
use crate::oauth::client::ClientSource;
use crate::oauth::grant::Grant;
use crate::oauth::session::MOST_OF_A_USER;
use crate::store::contract::fixtures;

/// The login to the account page up to the provider, in a new browser: the answer to the form.
async fn begin(world: &World) -> (Browser, Answer) {
    let page = world.get("/account").await;
    let (browser, csrf) = (Browser::default().after(&page), page.hidden("csrf"));
    let form = [("csrf", csrf.as_str()), ("provider", "corp")];
    let answer = world.send_form("/account/login", &browser, None, &form).await;
    (browser, answer)
}

/// The provider's answer, in that browser.
async fn come_back(world: &World, browser: &Browser, begun: &Answer) -> Answer {
    let state = param(&begun.button(), "state");
    world.callback(browser, &[("state", &state), ("code", "s3cr3t-code")]).await
}

#[tokio::test]
async fn t09_the_account_login_counts_in_its_own_browser_once() {
    let world = World::new();
    let (browser, begun) = begin(&world).await;
    let victim = Browser::default().after(&world.get("/account").await);
    assert!(come_back(&world, &victim, &begun).await.is_page(403));
    assert_eq!(come_back(&world, &browser, &begun).await.status, 200);
    assert!(come_back(&world, &browser, &begun).await.is_page(403));
}

#[tokio::test]
async fn a_session_ends_by_logging_out_by_time_and_by_the_operator() {
    let (world, _checker) = Checker::world().await;
    let offered = async |visit: &Visit| visit.look(&world).await.body.contains("Log in with corp");
    let leaving = visit(&world).await;
    let answer = leaving.send(&world, "logout", &[("csrf", &leaving.csrf)]).await;
    assert!(
        answer
            .header("set-cookie")
            .contains("portcullis-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    );
    assert!(offered(&leaving).await);
    let over = leaving.send(&world, "logout", &[("csrf", &leaving.csrf)]).await;
    assert!(over.is_page(403) && over.body.contains("Your session is over"), "{over:#?}");

    let staying = visit(&world).await;
    world.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert!(!offered(&staying).await);
    world.clock.advance(Duration::from_secs(1));
    assert!(offered(&staying).await);

    let revoked = visit(&world).await;
    let subject = Scope::Subject(ProviderName::new("corp"), Subject::new("jane"));
    world.app.revoke(subject, "operator").await.unwrap();
    assert!(offered(&revoked).await);
}

#[tokio::test]
async fn t35_a_failed_account_login_leads_back_to_the_page() {
    let world = World::new();
    world.provider.answers(|script| script.discovery = Err(unreachable()));
    let (_, answer) = begin(&world).await;
    assert!(answer.is_page(502) && answer.button().as_str() == format!("{ISSUER}/account"), "{answer:#?}");
    world.provider.answers(|script| script.discovery = Ok(()));
    let (browser, begun) = begin(&world).await;
    world.provider.answers(|script| script.exchange = Err(unreachable()));
    let answer = come_back(&world, &browser, &begun).await;
    assert!(answer.is_page(502) && answer.body.contains("Back to your account"), "{answer:#?}");
    assert_eq!(world.count_rows().await, 0, "no session");
}

#[tokio::test]
async fn t17_sessions_are_bounded_in_number() {
    let (world, _checker) = Checker::world_with_quota(1).await;
    visit(&world).await;
    let (browser, begun) = begin(&world).await;
    let answer = come_back(&world, &browser, &begun).await;
    assert!(answer.is_page(503) && answer.body.contains("Too many sessions are open"), "{answer:#?}");
    assert_eq!(world.reached("sessions"), 1);
}

#[tokio::test]
async fn t17_one_user_opens_no_more_than_a_users_share_of_the_sessions() {
    let world = World::new();
    let mut leaving = None;
    for _ in 0..MOST_OF_A_USER {
        leaving = Some(visit(&world).await);
    }
    let (browser, begun) = begin(&world).await;
    let answer = come_back(&world, &browser, &begun).await;
    assert!(answer.is_page(429), "{answer:#?}");
    assert!(answer.body.contains("Too many sessions of this user are open"), "{answer:#?}");
    assert_eq!((world.reached("sessions_of_user"), answer.header("set-cookie")), (1, ""));
    // Somebody else is not concerned; and there is room again once one of them has ended.
    world.provider.answers(|script| script.user = user("grace"));
    visit(&world).await;
    world.provider.answers(|script| script.user = user("jane"));
    let leaving = leaving.unwrap();
    leaving.send(&world, "logout", &[("csrf", &leaving.csrf)]).await;
    visit(&world).await;
}

#[tokio::test]
async fn the_session_cookie_is_for_this_host_and_this_site_alone() {
    let world = World::serving(&[("demo", "https://mcp.example.com/mcp")]);
    let (browser, begun) = begin(&world).await;
    let answer = come_back(&world, &browser, &begun).await;
    let cookie = answer.header("set-cookie");
    let (value, attributes) = cookie.strip_prefix("__Host-portcullis-session=").unwrap().split_at(43);
    assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cookie}");
    assert_eq!(attributes, "; Path=/; HttpOnly; SameSite=Strict; Max-Age=900; Secure");
}

#[tokio::test]
async fn a_session_at_one_issuer_is_none_at_the_other() {
    const ORIGIN: &str = "x-portcullis-origin";
    let (a, b) = ("https://a.example.com", "https://b.example.com:8443");
    let mut world =
        World::serving(&[("a", "https://a.example.com/mcp"), ("b", "https://b.example.com:8443/mcp")]);
    world.headers = vec![(ORIGIN, a)];
    let (browser, begun) = begin(&world).await;
    world.headers = vec![(ORIGIN, b)];
    assert!(come_back(&world, &browser, &begun).await.is_page(403), "begun elsewhere");
    world.headers = vec![(ORIGIN, a)];
    let (browser, begun) = begin(&world).await;
    let session = Browser::default().after(&come_back(&world, &browser, &begun).await);
    let page = world.send(session.with(Request::get("/account")), "").await;
    assert!(page.body.contains("Log out"), "{page:#?}");
    world.headers = vec![(ORIGIN, b)];
    let page = world.send(session.with(Request::get("/account")), "").await;
    assert!(page.body.contains("Log in with corp"), "{page:#?}");
}

#[tokio::test]
async fn what_was_granted_on_another_origin_takes_no_place_on_the_page() {
    const ORIGIN: &str = "x-portcullis-origin";
    let mut world = World::serving(&[("a", "https://a.example.com/mcp"), ("b", "https://b.example.com/mcp")]);
    let client = crate::oauth::client::Client { source: ClientSource::Document, ..fixtures::client("c") };
    world.app.store.remember(client.record()).await.unwrap();
    let grant = async |name: &str, server| {
        let grant = Grant {
            provider: ProviderName::new("corp"),
            subject: Subject::new("jane"),
            server: ServerName::new(server),
            ..fixtures::grant(name, "c", world.now())
        };
        let code = fixtures::code(&grant);
        world.app.store.grant(grant, fixtures::token_id(name), code).await.unwrap();
    };
    // All those of the one origin come first in the order of grants.
    for number in 0..201 {
        grant(&format!("a{number}"), "a").await;
    }
    grant("z", "b").await;
    let look = async |world: &mut World, origin| {
        world.headers = vec![(ORIGIN, origin)];
        let (browser, begun) = begin(world).await;
        let session = Browser::default().after(&come_back(world, &browser, &begun).await);
        world.send(session.with(Request::get("/account")), "").await.body
    };
    let shown = |page: &str| page.matches("action=\"/account/disconnect\"").count();
    let page = look(&mut world, "https://b.example.com").await;
    assert_eq!(shown(&page), 1, "{page}");
    assert!(!page.contains("There are more"), "{page}");
    let page = look(&mut world, "https://a.example.com").await;
    assert_eq!(shown(&page), 200);
    assert!(page.contains("There are more"));
}

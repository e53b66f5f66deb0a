use std::time::Duration;

use axum::http::{Request, header};

use super::answer::{Answer, param};
use super::harness::{ISSUER, World};
use super::login::{Browser, Page, REDIRECT, public, query};
use super::provider::unreachable;
use crate::oauth::pending::MOST_IN_A_BROWSER;

/// The page's form, sent from somewhere.
async fn send(world: &World, browser: &Browser, site: Option<&str>, form: &[(&str, &str)]) -> Answer {
    let mut request =
        Request::post("/consent").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(site) = site {
        request = request.header("sec-fetch-site", site);
    }
    world.send(browser.with(request), query(form)).await
}

fn form(page: &Page) -> [(&str, &str); 4] {
    [("request", &page.request), ("csrf", &page.csrf), ("shown", &page.shown), ("decision", "approve")]
}

#[tokio::test]
async fn t10_a_form_from_elsewhere_is_refused_and_nothing_is_stored() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let other = world.authorize(&client, &[]).await;
    let changed = page.request.replace("app.example", "evil.example");
    let more = format!("{}&scope=openid", page.request);
    let own = Some("same-origin");

    for site in ["cross-site", "same-site", "none", "same-origin, cross-site"] {
        assert!(send(&world, &page.browser, Some(site), &form(&page)).await.is_page(403), "{site}");
    }
    for (what, browser, request, csrf) in [
        ("no cookie", &Browser::default(), &page.request, &page.csrf),
        ("another browser", &other.browser, &page.request, &page.csrf),
        ("another browser's token", &page.browser, &page.request, &other.csrf),
        ("no token", &page.browser, &page.request, &String::new()),
        ("a wrong token", &page.browser, &page.request, &"AAAA".to_owned()),
        ("another redirect", &page.browser, &changed, &page.csrf),
        ("other scopes", &page.browser, &more, &page.csrf),
        ("no request", &page.browser, &String::new(), &page.csrf),
    ] {
        let form = [("request", request.as_str()), ("csrf", csrf), ("decision", "approve")];
        let answer = send(&world, browser, own, &form).await;
        assert!(answer.is_page(403), "{what}: {answer:#?}");
        assert!(!answer.body.contains("class=\"button"), "{what}");
    }
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn a_browser_that_does_not_say_where_a_form_is_from_may_send_it() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    assert_eq!(send(&world, &page.browser, None, &form(&page)).await.status, 200);
}

#[tokio::test]
async fn t10_approval_leads_on_by_a_page_and_not_by_a_redirect() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let answer = world.decide(&page, "approve").await;
    // Chromium holds a redirect behind a form against form-action.
    assert_eq!((answer.status, answer.header("location")), (200, ""));
    let url = answer.button();
    assert!(
        answer.body.contains("http-equiv=\"refresh\" content=\"0;url=https://idp.example.com/authorize?")
    );
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(param(&url, name).len(), 43, "{name}");
    }
    // Each approval is a login of its own.
    assert_ne!(param(&world.approve(&page).await, "state"), param(&url, "state"));
}

#[tokio::test]
async fn t13_a_no_goes_back_to_the_client_and_nothing_is_stored() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    for decision in ["deny", "", "Approve", "approve "] {
        let answer = world.decide(&page, decision).await;
        assert_eq!((answer.status, answer.header("location")), (200, ""));
        let back = answer.button();
        assert!(back.as_str().starts_with(&format!("{REDIRECT}?")), "{back}");
        assert_eq!(param(&back, "error"), "access_denied");
        assert_eq!(param(&back, "state"), "the client's state");
        assert_eq!(param(&back, "iss"), ISSUER);
    }
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn t35_a_provider_that_cannot_be_asked_is_said_so_with_a_way_back() {
    let world = World::with(|config| config.limits.pending = 1);
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    world.provider.answers(|script| script.discovery = Err(unreachable()));
    let answer = world.decide(&page, "approve").await;
    assert!(answer.is_page(502), "{answer:#?}");
    assert!(answer.body.contains("Back to Story"));
    let back = answer.button();
    assert_eq!(param(&back, "error"), "temporarily_unavailable");
    assert_eq!(param(&back, "iss"), ISSUER);
    world.provider.answers(|script| script.discovery = Ok(()));
    // The same page still works, and nothing has taken the only place.
    world.approve(&page).await;
}

#[tokio::test]
async fn t35_a_provider_whose_metadata_never_comes_gets_a_page_before_the_edge_gives_up() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    world.provider.hold_metadata();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let answer = world.decide(&page, "approve").await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert!(answer.is_page(502), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "temporarily_unavailable");
    assert_eq!(param(&answer.button(), "iss"), ISSUER);
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn t17_too_many_logins_under_way_are_said_so_with_a_way_back() {
    let world = World::with(|config| config.limits.pending = 1);
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    world.approve(&page).await;
    let answer = world.decide(&page, "approve").await;
    assert!(answer.is_page(503) && answer.body.contains("Too many logins are under way"), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "temporarily_unavailable");
    assert_eq!(param(&answer.button(), "iss"), ISSUER);
    assert_eq!(world.reached("pending"), 1);
    // Nobody finished the first: its time is up, and there is room again.
    world.clock.advance(Duration::from_mins(10));
    world.app.store.sweep(world.now(), 1000).await.unwrap();
    world.approve(&page).await;
}

#[tokio::test]
async fn a_request_that_is_not_right_any_more_is_not_approved() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    world.clock.advance(Duration::from_hours(24));
    assert!(world.decide(&page, "approve").await.is_page(400), "the registration has expired");
}

#[tokio::test]
async fn t17_one_browser_takes_up_no_more_than_its_share_of_the_logins_under_way() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    for _ in 0..MOST_IN_A_BROWSER {
        world.approve(&page).await;
    }
    let answer = world.decide(&page, "approve").await;
    assert!(answer.is_page(429), "{answer:#?}");
    assert!(answer.body.contains("Too many logins are under way in this browser"), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "temporarily_unavailable");
    assert_eq!(param(&answer.button(), "iss"), ISSUER);
    assert_eq!(world.reached("pending_in_browser"), 1);
    let other = world.authorize(&client, &[]).await;
    world.approve(&other).await;
    // The account page's logins are among them.
    let account = page.browser.after(&world.send(page.browser.with(Request::get("/account")), "").await);
    let offer = world.send(account.with(Request::get("/account")), "").await;
    let form = [("csrf", offer.hidden("csrf")), ("provider", "corp".into())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = world.send_form("/account/login", &account, Some("same-origin"), &form).await;
    assert!(refused.is_page(429), "{refused:#?}");
}

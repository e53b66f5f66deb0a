use axum::http::{Request, header};

use super::answer::{Answer, param};
use super::harness::{DEMO, ISSUER, World};
use super::login::{Browser, Page, REDIRECT, public, query};
use super::page::assert_safe;

const OTHER: &str = "http://localhost:10000/other/mcp";

/// Two servers of one origin, with scopes of their own.
fn two() -> World {
    World::serving_with(&[("demo", DEMO), ("other", OTHER)], |config| {
        for (name, server) in &mut config.servers {
            server.scopes = match name.as_str() {
                "demo" => vec!["openid".into(), "email".into()],
                _ => vec!["email".into(), "repo".into()],
            };
        }
    })
}

async fn send(world: &World, page: &Page, more: &[(&str, &str)]) -> Answer {
    let form = [("request", page.request.as_str()), ("csrf", &page.csrf), ("shown", &page.shown)];
    let form = [&form[..], more].concat();
    let request = Request::post("/consent")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin");
    world.send(page.browser.with(request), query(&form)).await
}

/// The page that a form was answered with, in the same browser.
fn next(page: &Page, answer: Answer) -> Page {
    assert!(answer.is_page(200), "{answer:#?}");
    let (request, csrf) = (answer.hidden("request"), answer.hidden("csrf"));
    let shown = answer.hidden_if_any("shown").unwrap_or_default();
    Page { browser: page.browser.clone(), answer, request, csrf, shown }
}

fn asks_which(answer: &Answer) -> bool {
    answer.body.matches("type=\"radio\"").count() == 2 && !answer.body.contains("value=\"approve\"")
}

#[tokio::test]
async fn the_user_says_which_server_is_meant_and_consents_to_that_one() {
    let world = two();
    let client = world.register(public()).await;
    let asked = world.authorize(&client, &[]).await;
    assert_safe(&asked.answer);
    assert!(asks_which(&asked.answer), "{}", asked.answer.body);
    for text in
        ["<strong>demo</strong>", "<strong>other</strong>", DEMO, OTHER, "<code>openid</code>", "Story"]
    {
        assert!(asked.answer.body.contains(text), "{text} is missing: {}", asked.answer.body);
    }

    let consent = next(&asked, send(&world, &asked, &[("server", "other"), ("decision", "choose")]).await);
    assert_safe(&consent.answer);
    assert_eq!(consent.request, format!("{}&{}", asked.request, query(&[("resource", OTHER)])));
    let body = &consent.answer.body;
    for text in [OTHER, "<li>email</li>", "<li>repo</li>", "app.example"] {
        assert!(body.contains(text), "{text} is missing: {body}");
    }
    assert!(!body.contains(DEMO) && !body.contains("<li>openid</li>"), "{body}");

    let provider = world.approve(&consent).await;
    assert_eq!(param(&provider, "scope"), "email repo");
    let state = param(&provider, "state");
    let back = world.callback(&consent.browser, &[("state", &state), ("code", "s3cr3t-code")]).await;
    let code = param(&back.redirect(), "code");
    // Such a client names no resource at the token endpoint either.
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    assert_eq!(tokens.scope, "email repo");
    let tokens = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    let (_, grant) = world.access_token(&tokens.access).await.unwrap();
    assert_eq!(grant.server.as_str(), "other");
}

#[tokio::test]
async fn without_a_server_that_is_there_the_question_comes_again() {
    let world = two();
    let client = world.register(public()).await;
    let asked = world.authorize(&client, &[]).await;
    for server in ["", "Demo", "nowhere", DEMO] {
        let answer = send(&world, &asked, &[("server", server), ("decision", "choose")]).await;
        assert_safe(&answer);
        assert!(answer.is_page(400) && asks_which(&answer), "{server:?}: {answer:#?}");
        assert!(answer.body.contains("role=\"alert\""), "{answer:#?}");
        // The same form is there again, and works.
        assert_eq!(
            (answer.hidden("request"), answer.hidden("csrf")),
            (asked.request.clone(), asked.csrf.clone())
        );
    }
    let answer = send(&world, &asked, &[("decision", "choose")]).await;
    assert!(answer.is_page(400) && asks_which(&answer), "{answer:#?}");
    let chosen = send(&world, &asked, &[("server", "demo"), ("decision", "choose")]).await;
    assert!(next(&asked, chosen).answer.body.contains(DEMO));
}

#[tokio::test]
async fn t08_nothing_is_approved_by_the_choice_of_a_server() {
    let world = two();
    let client = world.register(public()).await;
    let asked = world.authorize(&client, &[]).await;
    // An approval of what has not been shown is none, whatever the form says.
    for decision in ["approve", "deny", ""] {
        let answer = send(&world, &asked, &[("server", "demo"), ("decision", decision)]).await;
        let back = answer.button();
        assert!(back.as_str().starts_with(&format!("{REDIRECT}?")), "{back}");
        assert_eq!(param(&back, "error"), "access_denied", "{decision:?}");
        assert_eq!(
            (param(&back, "state").as_str(), param(&back, "iss").as_str()),
            ("the client's state", ISSUER)
        );
    }
    send(&world, &asked, &[("server", "demo"), ("decision", "choose")]).await;
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn t10_a_choice_from_elsewhere_is_refused_and_another_server_cannot_be_slipped_in() {
    let world = two();
    let client = world.register(public()).await;
    let (asked, other) = (world.authorize(&client, &[]).await, world.authorize(&client, &[]).await);
    let choice = [("server", "demo"), ("decision", "choose")];
    let foreign = Page { browser: other.browser.clone(), answer: asked.answer.clone(), ..page(&asked) };
    assert!(send(&world, &foreign, &choice).await.is_page(403), "another browser");
    let forged = Page { csrf: other.csrf.clone(), ..page(&asked) };
    assert!(send(&world, &forged, &choice).await.is_page(403), "another browser's token");
    let cookieless = Page { browser: Browser::default(), ..page(&asked) };
    assert!(send(&world, &cookieless, &choice).await.is_page(403), "no cookie");

    // The token of the question is none for the consent, nor the consent's to one server for another.
    let consent = next(&asked, send(&world, &asked, &choice).await);
    let skipped = Page { csrf: asked.csrf.clone(), ..page(&consent) };
    assert!(send(&world, &skipped, &[("decision", "approve")]).await.is_page(403));
    let request = consent.request.replace("demo", "other");
    assert!(request.contains("other"));
    let swapped = Page { request, ..page(&consent) };
    assert!(send(&world, &swapped, &[("decision", "approve")]).await.is_page(403));
    // Beside the request that names a server the form's word for one counts nothing.
    let answer = send(&world, &consent, &[("decision", "approve"), ("server", "other")]).await;
    assert_eq!(param(&answer.button(), "scope"), "openid email");
}

fn page(of: &Page) -> Page {
    let Page { answer, browser, request, csrf, shown } = of;
    let (answer, browser) = (answer.clone(), browser.clone());
    Page { answer, browser, request: request.clone(), csrf: csrf.clone(), shown: shown.clone() }
}

#[tokio::test]
async fn only_servers_that_have_a_scope_that_is_asked_for_are_offered() {
    let world = two();
    let client = world.register(public()).await;
    let body = world.authorize(&client, &[("scope", "email")]).await.answer.body;
    assert_eq!(body.matches("<code>email</code>").count(), 2, "{body}");
    // Which of them it is goes without asking.
    let body = world.authorize(&client, &[("scope", "repo")]).await.answer.body;
    assert!(body.contains(OTHER) && body.contains("value=\"approve\""), "{body}");
    let refused = world.open(&Browser::default(), &client, &[("scope", "admin")]).await.button();
    assert_eq!(param(&refused, "error"), "invalid_scope");
    // A parameter without a value is as good as none (RFC 6749 section 3.1).
    let asked = world.authorize(&client, &[("extra", "resource")]).await;
    let empty = format!("/authorize?{}&resource=&%72esource2=", asked.request);
    let empty = world.send(asked.browser.with(Request::get(&empty)), "").await;
    let empty = Page { request: empty.hidden("request"), csrf: empty.hidden("csrf"), ..page(&asked) };
    let chosen = send(&world, &empty, &[("server", "other"), ("decision", "choose")]).await;
    world.approve(&next(&empty, chosen)).await;
}

#[tokio::test]
async fn a_choice_between_servers_of_which_one_is_left_goes_on_to_that_one() {
    let world = two();
    let client = world.register(public()).await;
    let asked = world.authorize(&client, &[]).await;
    let world = world.restart_with(|config| {
        config.servers.retain(|name, _| name.as_str() == "demo");
    });
    let consent = next(&asked, send(&world, &asked, &[("server", "other"), ("decision", "choose")]).await);
    assert!(consent.answer.body.contains(DEMO) && consent.answer.body.contains("value=\"approve\""));
}

#[tokio::test]
async fn t12_a_clients_name_does_not_become_markup_in_the_question() {
    let world = two();
    let mut metadata = public();
    metadata["client_name"] = "</form><script>alert('1')</script>\"&".into();
    let client = world.register(metadata).await;
    let asked = world.authorize(&client, &[]).await;
    assert_safe(&asked.answer);
    assert!(asked.answer.body.contains("&#60;/form&#62;&#60;script&#62;"), "{}", asked.answer.body);
}

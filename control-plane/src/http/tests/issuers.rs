use std::collections::BTreeSet;

use axum::http::Request;
use serde_json::json;

use super::account::visit;
use super::answer::param;
use super::checker::Checker;
use super::harness::{ISSUER, World};
use super::login::{Browser, public, query};
use crate::acting::tests::dynamic;

const A: &str = "https://a.example.com";
const B: &str = "https://b.example.com:8443";
const ORIGIN: &str = "x-portcullis-origin";

fn two() -> World {
    World::serving(&[("a", "https://a.example.com/mcp"), ("b", "https://b.example.com:8443/mcp")])
}

#[tokio::test]
async fn each_origin_is_an_issuer_of_its_own_from_beginning_to_end() {
    for (origin, resource) in [(A, "https://a.example.com/mcp"), (B, "https://b.example.com:8443/mcp")] {
        let mut world = two();
        world.headers = vec![(ORIGIN, origin)];
        let metadata = world.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["issuer"], origin);
        assert_eq!(metadata["token_endpoint"], format!("{origin}/token"));
        let described = world.get("/.well-known/oauth-protected-resource/mcp").await.json();
        assert_eq!(
            (&described["resource"], &described["authorization_servers"]),
            (&json!(resource), &json!([origin]))
        );

        let client = world.register(public()).await;
        let page = world.authorize(&client, &[]).await;
        let provider = world.approve(&page).await;
        assert_eq!(param(&provider, "redirect_uri"), format!("{origin}/callback"));
        let state = param(&provider, "state");
        let back =
            world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.redirect();
        assert_eq!(param(&back, "iss"), origin);
        let other = if origin == A { "https://b.example.com:8443/mcp" } else { "https://a.example.com/mcp" };
        let code = param(&back, "code");
        let answer = world.redeem(&client, &code, &[("resource", other)]).await;
        assert_eq!(answer.error(), (400, "invalid_target".into()));
        world.redeem(&client, &code, &[("resource", resource)]).await.tokens();
    }
}

#[tokio::test]
async fn t05_what_one_issuer_gave_is_nothing_at_the_other() {
    let mut world = two();
    world.headers = vec![(ORIGIN, A)];
    let client = world.register(public()).await;
    let (code, tokens) = (world.log_in(&client, &[]).await, world.tokens(&client).await);
    let page = world.authorize(&client, &[]).await;
    let state = param(&world.approve(&page).await, "state");

    world.headers = vec![(ORIGIN, B)];
    assert!(world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.is_page(403));
    assert_eq!(world.redeem(&client, &code, &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.refresh(&client, &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    world.headers = vec![(ORIGIN, A)];
    world.redeem(&client, &code, &[]).await.tokens();
    world.refresh(&client, &tokens.refresh, &[]).await.tokens();
}

#[tokio::test]
async fn t03_t16_the_callback_and_the_servers_of_another_issuer_of_ours_are_refused() {
    let mut world = two();
    for (own, other) in [(A, B), (B, A)] {
        world.headers = vec![(ORIGIN, own)];
        for origin in [own, other] {
            let metadata = json!({ "redirect_uris": [format!("{origin}/callback")] });
            let answer = world.post("/register", "application/json", metadata.to_string()).await;
            assert_eq!(answer.error(), (400, "invalid_redirect_uri".into()), "{origin} at {own}");
        }
        let client = world.register(public()).await;
        let there = [("resource", format!("{other}/mcp"))];
        let there = there.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = world.open(&Browser::default(), &client, &there).await;
        assert!(answer.is_page(400), "{answer:#?}");
        let back = answer.button();
        assert_eq!((param(&back, "error").as_str(), param(&back, "iss").as_str()), ("invalid_target", own));
    }
}

#[tokio::test]
async fn t14_where_there_are_two_issuers_the_edge_must_say_which_is_meant() {
    let mut world = two();
    for headers in [
        vec![],
        vec![("host", "a.example.com")],
        vec![(ORIGIN, "https://c.example.com")],
        vec![(ORIGIN, "a.example.com")],
        vec![(ORIGIN, A), (ORIGIN, B)],
    ] {
        world.headers = headers;
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource/mcp",
            "/authorize?client_id=x",
            "/callback?state=x",
        ] {
            assert_eq!(world.get(path).await.status, 421, "{:?} {path}", world.headers);
        }
        let form = "application/x-www-form-urlencoded";
        for path in ["/token", "/revoke", "/consent"] {
            assert_eq!(world.post(path, form, "").await.status, 421, "{:?} {path}", world.headers);
        }
        let registered = world.post("/register", "application/json", public().to_string()).await;
        assert_eq!(registered.status, 421);
        assert_eq!(registered.header("access-control-allow-origin"), "*");
    }
}

/// A whole story: everything that anybody is answered in it.
async fn story(headers: Vec<(&'static str, &'static str)>) -> Vec<String> {
    let mut world = World::new();
    world.headers = headers;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/demo/mcp",
        "/.well-known/openid-configuration",
        "/demo/mcp/.well-known/openid-configuration",
        "/nowhere",
    ] {
        world.get(path).await;
    }
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    world.open(&page.browser, &client, &[("scope", "admin")]).await;
    world.decide(&page, "deny").await;
    let state = param(&world.approve(&page).await, "state");
    let back = world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.redirect();
    world.callback(&page.browser, &[("state", &state)]).await;
    let tokens = world.redeem(&client, &param(&back, "code"), &[]).await.tokens();
    world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    world.revoke(&client, &tokens.refresh).await;
    world.send(Request::get(format!("https://evil.example/authorize?{}", query(&[("x", "y")]))), "").await;
    world.transcript.into_inner().unwrap()
}

/// The same of somebody who gives a token, logs in to the account page, and has a client described to the provider.
async fn story_of_a_user(headers: Vec<(&'static str, &'static str)>) -> Vec<String> {
    let (mut world, _checker) = Checker::world().await;
    world.headers = headers;
    for path in ["/openapi.json", "/account", "/provider-clients/x.json"] {
        world.get(path).await;
    }
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    world.give(&page, "s3cr3t-bad").await;
    let code = param(&world.give(&page, "s3cr3t-good").await.button(), "code");
    let grant = world.redeem(&client, &code, &[]).await.tokens();
    let grant = world.access_token(&grant.access).await.unwrap().1.id;
    let visit = visit(&world).await;
    visit.look(&world).await;
    for (action, field) in [
        ("replace", ("server", "demo")),
        ("disconnect", ("grant", grant.as_str())),
        ("remove", ("server", "demo")),
    ] {
        visit.send(&world, action, &[("csrf", &visit.csrf), field, ("token", "s3cr3t-good")]).await;
    }
    visit.send(&world, "logout", &[("csrf", &visit.csrf)]).await;
    world.transcript.into_inner().unwrap()
}

/// The same of whoever asks for the document by which the provider knows us.
async fn story_of_a_provider(headers: Vec<(&'static str, &'static str)>) -> Vec<String> {
    let mut world = World::with(dynamic);
    world.headers = headers;
    world.provider.answers(|script| script.documents = true);
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let document = param(&world.approve(&page).await, "client_id");
    let path = document.strip_prefix(ISSUER).unwrap();
    let described = world.get(path).await.json();
    assert_eq!(described["client_id"], document);
    world.transcript.into_inner().unwrap()
}

#[tokio::test]
async fn t14_forged_hosts_change_nothing_in_any_answer() {
    let forgery = vec![
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "/evil"),
        ("forwarded", "host=evil.example;proto=https"),
    ];
    for (what, plain, forged) in [
        ("a client", story(vec![]).await, story(forgery.clone()).await),
        ("a user", story_of_a_user(vec![]).await, story_of_a_user(forgery.clone()).await),
        ("a provider", story_of_a_provider(vec![]).await, story_of_a_provider(forgery).await),
    ] {
        assert_eq!(plain, forged, "{what}");
        assert!(!plain.iter().any(|answer| answer.contains("evil")), "{what}");
        let different: BTreeSet<_> = plain.iter().collect();
        assert!(different.len() > 3, "{what}: the story must have something to compare");
    }
}

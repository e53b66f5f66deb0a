use serde_json::json;

use super::answer::{Answer, param};
use super::harness::World;
use super::login::{REDIRECT, public};

/// What every page has, whatever it says.
#[track_caller]
pub(super) fn assert_safe(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.split("; ").any(|given| given == directive), "{directive}: {answer:#?}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("access-control-allow-origin"), "", "no script may read it");
    assert_eq!(answer.header("cross-origin-opener-policy"), "", "a pop-up keeps its opener");
    for inline in ["<script", "style=", " onclick", "<style"] {
        assert!(!answer.body.contains(inline), "{inline}: {answer:#?}");
    }
}

#[tokio::test]
async fn t10_every_page_has_every_header_and_nothing_inline() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    assert_safe(&page.answer);
    assert_safe(&world.get("/authorize").await);
    assert_safe(&world.get("/callback").await);
    assert_safe(&world.decide(&page, "deny").await);
    assert_safe(&world.post("/consent", "application/x-www-form-urlencoded", "").await);
    world.provider.answers(|script| script.exchange = Err(super::provider::unreachable()));
    let approved = world.decide(&page, "approve").await;
    assert_safe(&approved);
    let state = param(&approved.button(), "state");
    assert_safe(&world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await);

    let stylesheet = world.get("/assets/portcullis.css").await;
    assert_eq!(stylesheet.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(stylesheet.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn t12_nothing_that_a_client_or_a_link_says_becomes_markup() {
    let world = World::new();
    let attack = "</form><script>alert('1')</script>\"&";
    let mut metadata = public();
    metadata["client_name"] = json!(attack);
    metadata["client_uri"] = json!("https://app.example/?'\"><script>");
    let client = world.register(metadata).await;
    let page = world.authorize(&client, &[("state", attack), ("extra", attack)]).await;
    assert_safe(&page.answer);
    assert!(page.answer.body.contains("&#60;/form&#62;&#60;script&#62;"), "{}", page.answer.body);
    assert_eq!(page.answer.body.matches("<form").count(), 1);

    // The way back is a link that has all of it, in its place.
    let denied = world.decide(&page, "deny").await;
    assert_safe(&denied);
    let back = denied.button();
    assert_eq!(param(&back, "state"), attack);
    assert!(back.as_str().starts_with(REDIRECT));
    // Our own error page does not repeat what it was sent.
    let answer = world.callback(&page.browser, &[("state", "<script>"), ("error", "<script>")]).await;
    assert_safe(&answer);
}

#[tokio::test]
async fn t12_a_very_long_name_is_cut() {
    let world = World::new();
    let mut metadata = public();
    metadata["client_name"] = json!("x".repeat(5000));
    let client = world.register(metadata).await;
    let body = world.authorize(&client, &[]).await.answer.body;
    assert!(body.contains(&format!("{}…", "x".repeat(80))) && !body.contains(&"x".repeat(81)));
}

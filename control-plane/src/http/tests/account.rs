use portcullis_proto::ids::GrantId;
use serde_json::json;

use super::answer::{Answer, Tokens, param};
use super::checker::{Checker, LABEL};
use super::harness::{ISSUER, World};
use super::login::{Browser, Client, public};
use super::provider::user;

const OLD: &str = "s3cr3t-good-old";
const NEW: &str = "s3cr3t-good-new";

/// Somebody on the account page.
pub(super) struct Visit {
    pub(super) browser: Browser,
    pub(super) csrf: String,
}

/// Logs in on the account page, as whoever the provider says.
pub(super) async fn visit(world: &World) -> Visit {
    let page = world.get("/account").await;
    assert!(page.is_page(200) && page.body.contains("Log in with corp"), "{page:#?}");
    let browser = Browser::default().after(&page);
    let form = [("csrf", page.hidden("csrf")), ("provider", "corp".into())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = world.send_form("/account/login", &browser, Some("same-origin"), &form).await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    let state = param(&answer.button(), "state");
    let answer = world.callback(&browser, &[("state", &state), ("code", "s3cr3t-code")]).await;
    // A page, not a redirect: a cookie that is `Strict` does not go along with one from another site.
    assert_eq!((answer.status, answer.header("location")), (200, ""), "{answer:#?}");
    assert_eq!(answer.button().as_str(), format!("{ISSUER}/account"));
    let session = Browser::default().after(&answer).0.unwrap();
    assert!(session.starts_with("portcullis-session="), "{session}");
    let browser = Browser(Some(format!("{}; {session}", browser.0.unwrap())));
    let mut visit = Visit { browser, csrf: String::new() };
    visit.csrf = visit.look(world).await.hidden("csrf");
    visit
}

impl Visit {
    pub(super) async fn look(&self, world: &World) -> Answer {
        let answer = world.send(self.browser.with(axum::http::Request::get("/account")), "").await;
        assert!(answer.is_page(200), "{answer:#?}");
        answer
    }

    async fn press(&self, world: &World, action: &str, field: (&str, &str)) -> Answer {
        self.send(world, action, &[("csrf", &self.csrf), field]).await
    }

    pub(super) async fn send(&self, world: &World, action: &str, form: &[(&str, &str)]) -> Answer {
        world.send_form(&format!("/account/{action}"), &self.browser, Some("same-origin"), form).await
    }

    async fn replace(&self, world: &World, token: &str) -> Answer {
        let form =
            [("csrf", self.csrf.as_str()), ("server", "demo"), ("token", token), ("decision", "approve")];
        self.send(world, "replace", &form).await
    }
}

/// A client whose user has given the token `OLD`.
async fn connected(world: &World) -> (Client, Tokens) {
    let client = world.register(public()).await;
    let (browser, answer) = world.come_back(&client).await;
    let code = if answer.status == 303 {
        param(&answer.redirect(), "code")
    } else {
        let form = [("id", answer.hidden("id")), ("csrf", answer.hidden("csrf"))];
        let form =
            [("id", form[0].1.as_str()), ("csrf", &form[1].1), ("token", OLD), ("decision", "approve")];
        let given = world.send_form("/user-token", &browser, Some("same-origin"), &form).await;
        param(&given.button(), "code")
    };
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    (client, tokens)
}

async fn value(world: &World, access: &str) -> String {
    world.credential(access).await.unwrap().remove(0).value
}

async fn grant_of(world: &World, tokens: &Tokens) -> GrantId {
    world.access_token(&tokens.access).await.unwrap().1.id
}

#[tokio::test]
async fn the_page_shows_who_is_logged_in_and_what_is_the_users_own() {
    let (world, _checker) = Checker::world().await;
    connected(&world).await;
    world.provider.answers(|script| script.user = user("eve"));
    let empty = visit(&world).await.look(&world).await;
    assert!(empty.body.contains("eve@example.com") && empty.body.contains("No application is connected"));
    assert!(empty.body.contains("you are asked for it when an application connects"));
    assert!(!empty.body.contains("jane") && !empty.body.contains("Story"), "{}", empty.body);
    world.provider.answers(|script| script.user = user("jane"));
    let page = visit(&world).await.look(&world).await;
    for text in ["jane@example.com", "Story", "demo", LABEL, "since 2023-11-14", "kept since 2023-11-14"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
}

#[tokio::test]
async fn disconnecting_a_client_revokes_its_grant() {
    let (world, _checker) = Checker::world().await;
    let ((_, one), (_, other)) = (connected(&world).await, connected(&world).await);
    let visit = visit(&world).await;
    let grant = grant_of(&world, &one).await;
    let answer = visit.press(&world, "disconnect", ("grant", grant.as_str())).await;
    assert_eq!(answer.redirect().as_str(), format!("{ISSUER}/account"));
    assert!(
        world.access_token(&one.access).await.is_none() && world.access_token(&other.access).await.is_some()
    );
    assert_eq!(visit.look(&world).await.body.matches("Disconnect<").count(), 1);
    // Twice does no harm.
    visit.press(&world, "disconnect", ("grant", grant.as_str())).await.redirect();
    assert_eq!(world.revocations(), 1);
}

#[tokio::test]
async fn nobody_can_end_or_replace_what_is_not_theirs() {
    let (world, _checker) = Checker::world().await;
    let (_, tokens) = connected(&world).await;
    let grant = grant_of(&world, &tokens).await;
    world.provider.answers(|script| script.user = user("eve"));
    let eve = visit(&world).await;
    eve.press(&world, "disconnect", ("grant", grant.as_str())).await.redirect();
    eve.press(&world, "remove", ("server", "demo")).await.redirect();
    eve.press(&world, "remove", ("server", "elsewhere")).await.redirect();
    eve.replace(&world, NEW).await.redirect();
    assert_eq!(world.revocations(), 0);
    assert_eq!(value(&world, &tokens.access).await, format!("Bearer {OLD}"));
}

#[tokio::test]
async fn t20_a_removed_token_takes_the_users_grants_at_that_server_along() {
    let (world, _checker) = Checker::world().await;
    let ((client, one), (_, other)) = (connected(&world).await, connected(&world).await);
    let visit = visit(&world).await;
    visit.press(&world, "remove", ("server", "demo")).await.redirect();
    assert!(
        world.access_token(&one.access).await.is_none() && world.access_token(&other.access).await.is_none()
    );
    assert_eq!(world.refresh(&client, &one.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.revocations(), 2);
    let page = visit.look(&world).await;
    assert!(page.body.contains("you are asked for it when an application connects"), "{}", page.body);
    // The next login asks.
    world.asked_for_token(&client).await;
}

#[tokio::test]
async fn a_replaced_token_is_in_use_at_once_and_nobody_logs_in_again() {
    let (world, checker) = Checker::world().await;
    let (client, tokens) = connected(&world).await;
    let visit = visit(&world).await;
    let form = visit.press(&world, "replace", ("server", "demo")).await;
    assert!(form.is_page(200) && form.body.contains(LABEL), "{form:#?}");
    assert!(form.body.contains("type=\"password\"") && !form.body.contains("s3cr3t"));
    assert!(visit.replace(&world, "s3cr3t-bad").await.is_page(400));
    assert!(visit.replace(&world, "s3cr3t-broken").await.is_page(502));
    assert_eq!(value(&world, &tokens.access).await, format!("Bearer {OLD}"));
    visit.replace(&world, NEW).await.redirect();
    // What an instance has sealed with the old one is refused from now on; the client refreshes.
    assert!(world.access_token(&tokens.access).await.is_none());
    let next = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    assert_eq!(value(&world, &next.access).await, format!("Bearer {NEW}"));
    assert_eq!(checker.asked().len(), 4);
}

#[tokio::test]
async fn the_attempts_in_a_session_run_out() {
    let (world, checker) = Checker::world().await;
    connected(&world).await;
    let visit = visit(&world).await;
    for _ in 0..10 {
        assert!(visit.replace(&world, "s3cr3t-bad").await.is_page(400));
    }
    assert!(visit.replace(&world, NEW).await.is_page(403));
    assert_eq!(checker.asked().len(), 11);
}

#[tokio::test]
async fn t10_forms_of_the_account_page_count_from_there_alone() {
    let (world, checker) = Checker::world().await;
    let (_, tokens) = connected(&world).await;
    let (visit, other) = (visit(&world).await, visit(&world).await);
    let grant = grant_of(&world, &tokens).await;
    let login = world.get("/account").await;
    let stranger = Browser::default().after(&login);
    let fields = [("grant", grant.as_str()), ("server", "demo"), ("token", NEW), ("decision", "approve")];
    for action in ["disconnect", "remove", "replace", "logout"] {
        for (what, browser, site, csrf) in [
            ("cross-site", &visit.browser, "cross-site", visit.csrf.as_str()),
            ("same-site", &visit.browser, "same-site", &visit.csrf),
            ("another session's form", &visit.browser, "same-origin", &other.csrf),
            ("no token", &visit.browser, "same-origin", ""),
            ("no session", &stranger, "same-origin", &visit.csrf),
            ("the login's form", &stranger, "same-origin", &login.hidden("csrf")),
        ] {
            let form = [&[("csrf", csrf)], &fields[..]].concat();
            let answer = world.send_form(&format!("/account/{action}"), browser, Some(site), &form).await;
            assert!(answer.is_page(403), "{action}, {what}: {answer:#?}");
        }
    }
    let csrf = login.hidden("csrf");
    let from_elsewhere = world.get("/account").await.hidden("csrf");
    for (what, browser, site, csrf, provider) in [
        ("cross-site", &stranger, "cross-site", &csrf, "corp"),
        ("another browser's form", &stranger, "same-origin", &from_elsewhere, "corp"),
        ("another provider", &stranger, "same-origin", &csrf, "evil"),
    ] {
        let form = [("csrf", csrf.as_str()), ("provider", provider)];
        let answer = world.send_form("/account/login", browser, Some(site), &form).await;
        assert!(answer.is_page(403), "{what}: {answer:#?}");
    }
    assert_eq!((world.revocations(), checker.asked().len()), (0, 1));
    assert!(visit.look(&world).await.body.contains("Log out"));
}

#[tokio::test]
async fn t12_nothing_on_the_account_page_becomes_markup() {
    let (world, _checker) = Checker::world().await;
    let mut metadata = public();
    metadata["client_name"] = json!("<script>alert(1)</script>");
    let client = world.register(metadata).await;
    let token = world.asked_for_token(&client).await;
    assert!(token.answer.body.contains("&#60;script&#62;") && !token.answer.body.contains("<script"));
    world.give(&token, OLD).await;
    let page = visit(&world).await.look(&world).await;
    assert!(page.body.contains("&#60;script&#62;") && !page.body.contains("<script"), "{}", page.body);
    for answer in [&token.answer, &page, &world.get("/account").await] {
        super::page::assert_safe(answer);
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_proto::ids::{ClientId, ProviderName, Subject};
use portcullis_proto::revocation::Scope;
use serde_json::json;

use super::answer::{Answer, param};
use super::checker::{Checker, LABEL};
use super::harness::{ISSUER, World};
use super::login::{Browser, Client, REDIRECT, public};
use super::provider::{MARK, user};
use crate::credential::ComposeError;
use crate::oauth::enrolment::MOST_OF_A_USER;
use crate::oauth::user_token::Holder;

const GOOD: &str = "s3cr3t-good-token";

/// The only header that the MCP server gets.
async fn header(world: &World, access: &str) -> String {
    let headers = world.credential(access).await.unwrap();
    assert_eq!(headers.len(), 1);
    format!("{}: {}", headers[0].name, headers[0].value)
}

#[track_caller]
fn code_of(answer: &Answer) -> String {
    // A form is never answered with a redirect.
    assert_eq!((answer.status, answer.header("location")), (200, ""));
    let back = answer.button();
    assert!(back.as_str().starts_with(REDIRECT), "{back}");
    assert_eq!(
        (param(&back, "iss").as_str(), param(&back, "state").as_str()),
        (ISSUER, "the client's state")
    );
    param(&back, "code")
}

async fn first_login(world: &World, client: &Client) -> String {
    let page = world.asked_for_token(client).await;
    let code = code_of(&world.give(&page, GOOD).await);
    world.redeem(client, &code, &[]).await.tokens().access
}

#[tokio::test]
async fn the_first_login_asks_for_a_token_and_the_mcp_server_gets_that_one() {
    let (world, checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    for text in
        [LABEL, "https://github.com/settings/tokens", "checked at 127.0.0.1", "jane@example.com", "Story"]
    {
        assert!(page.answer.body.contains(text), "{text}: {}", page.answer.body);
    }
    assert!(page.answer.body.contains("type=\"password\""));
    assert!(world.app.store.grants(None, 10).await.unwrap().is_empty(), "nothing is granted before");
    let code = code_of(&world.give(&page, &format!("  {GOOD}\r\n")).await);
    assert_eq!(checker.asked(), [format!("Bearer {GOOD}")]);
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    assert_eq!(header(&world, &tokens.access).await, format!("authorization: Bearer {GOOD}"));
}

#[tokio::test]
async fn a_client_with_a_document_is_granted_once_the_token_is_there() {
    let (world, _checker) = Checker::world().await;
    let id = "https://app.example/client.json";
    let document = json!({ "client_id": id, "client_name": "Editor", "redirect_uris": [REDIRECT] });
    world.web.publish(id, &document);
    let client = Client { id: id.into(), secret: None, method: "none".into(), redirect: REDIRECT.into() };
    let page = world.asked_for_token(&client).await;
    assert!(page.answer.body.contains("Editor"), "{}", page.answer.body);
    let code = code_of(&world.give(&page, GOOD).await);
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    assert_eq!(header(&world, &tokens.access).await, format!("authorization: Bearer {GOOD}"));
    // What was revoked while the page was open is granted no more.
    world.provider.answers(|script| script.user = user("eve"));
    let page = world.asked_for_token(&client).await;
    world.app.revoke(Scope::Client(ClientId::new(id)), "test").await.unwrap();
    let answer = world.give(&page, GOOD).await;
    assert!(answer.is_page(403) && answer.body.contains("not known here"), "{answer:#?}");
}

#[tokio::test]
async fn who_has_given_a_token_is_not_asked_again_by_another_client() {
    let (world, checker) = Checker::world().await;
    first_login(&world, &world.register(public()).await).await;
    let other = world.register(public()).await;
    let (_, answer) = world.come_back(&other).await;
    let tokens = world.redeem(&other, &param(&answer.redirect(), "code"), &[]).await.tokens();
    assert_eq!(header(&world, &tokens.access).await, format!("authorization: Bearer {GOOD}"));
    assert_eq!(checker.asked().len(), 1);
    // Another user is.
    world.provider.answers(|script| script.user = user("eve"));
    world.asked_for_token(&other).await;
}

#[tokio::test]
async fn a_token_that_is_not_good_is_asked_for_again_on_the_same_page() {
    let (world, checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    for (token, status, problem) in [
        ("", 400, "there was no token in the field"),
        ("two words", 400, "no blanks inside"),
        (&"x".repeat(4097), 400, "too long"),
        ("s3cr3t-bad", 400, "was not accepted"),
        ("s3cr3t-forbidden", 400, "was not accepted"),
        ("s3cr3t-odd", 502, "cannot be found out"),
        ("s3cr3t-broken", 502, "cannot be found out"),
        ("s3cr3t-elsewhere", 502, "cannot be found out"),
    ] {
        let answer = world.give(&page, token).await;
        assert!(answer.is_page(status), "{token}: {answer:#?}");
        assert!(answer.body.contains(problem), "{token}: {}", answer.body);
        assert_eq!((answer.hidden("id"), answer.hidden("csrf")), (page.id.clone(), page.csrf.clone()));
        assert!(!answer.body.contains("s3cr3t"), "{token}: {}", answer.body);
    }
    assert_eq!(
        checker.asked().len(),
        5,
        "what cannot be a token is sent to nobody, and no redirect is followed"
    );
    assert!(world.app.store.grants(None, 10).await.unwrap().is_empty());
    code_of(&world.give(&page, GOOD).await);
}

#[tokio::test]
async fn after_ten_tokens_the_login_is_over() {
    let (world, checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    for _ in 1..10 {
        assert!(world.give(&page, "s3cr3t-bad").await.is_page(400));
    }
    let last = world.give(&page, "s3cr3t-bad").await;
    assert!(last.is_page(403) && last.body.contains("Back to Story"), "{last:#?}");
    assert_eq!(param(&last.button(), "error"), "access_denied");
    assert!(world.give(&page, GOOD).await.is_page(403));
    assert_eq!(checker.asked().len(), 10);
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn t13_who_gives_no_token_goes_back_to_the_client_and_nothing_stays() {
    let (world, checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    let form = [("id", page.id.as_str()), ("csrf", &page.csrf), ("token", GOOD), ("decision", "deny")];
    let answer = world.send_form("/user-token", &page.browser, Some("same-origin"), &form).await;
    let back = answer.button();
    assert!(back.as_str().starts_with(REDIRECT));
    assert_eq!((param(&back, "error").as_str(), param(&back, "iss").as_str()), ("access_denied", ISSUER));
    assert!(world.give(&page, GOOD).await.is_page(403));
    assert!(checker.asked().is_empty());
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn t09_t10_the_form_counts_in_its_own_browser_from_its_own_page() {
    let (world, checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    let other = world.asked_for_token(&client).await;
    let own = Some("same-origin");
    for (what, browser, site, id, csrf) in [
        ("cross-site", &page.browser, Some("cross-site"), &page.id, &page.csrf),
        ("same-site", &page.browser, Some("same-site"), &page.id, &page.csrf),
        ("another browser", &other.browser, own, &page.id, &page.csrf),
        ("another browser's form", &page.browser, own, &other.id, &other.csrf),
        ("another login", &page.browser, own, &other.id, &page.csrf),
        ("no cookie", &Browser::default(), own, &page.id, &page.csrf),
        ("no token", &page.browser, own, &page.id, &String::new()),
        ("no login", &page.browser, own, &String::new(), &page.csrf),
    ] {
        let form = [("id", id.as_str()), ("csrf", csrf), ("token", GOOD), ("decision", "approve")];
        let answer = world.send_form("/user-token", browser, site, &form).await;
        assert!(answer.is_page(403), "{what}: {answer:#?}");
    }
    assert!(checker.asked().is_empty());
    code_of(&world.give(&page, GOOD).await);
}

#[tokio::test]
async fn t09_the_form_is_good_once_and_for_ten_minutes() {
    let (world, _checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    let (one, other) = tokio::join!(world.give(&page, GOOD), world.give(&page, GOOD));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403]);
    assert!(world.give(&page, GOOD).await.is_page(403));
    assert_eq!(world.app.store.grants(None, 10).await.unwrap().len(), 1);

    world.provider.answers(|script| script.user = user("eve"));
    let late = world.asked_for_token(&client).await;
    world.clock.advance(Duration::from_mins(10));
    assert!(world.give(&late, GOOD).await.is_page(403));
}

#[tokio::test]
async fn t20_a_user_who_is_revoked_while_the_form_is_open_gets_nothing() {
    let (world, _checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    let subject = Scope::Subject(ProviderName::new("corp"), Subject::new("jane"));
    world.app.revoke(subject, "test").await.unwrap();
    assert!(world.give(&page, GOOD).await.is_page(403));
    assert!(world.app.store.grants(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn t17_too_many_logins_that_wait_for_a_token_are_said_so_with_a_way_back() {
    let (world, _checker) = Checker::world_with_quota(1).await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    let (_, answer) = world.come_back(&client).await;
    assert!(answer.is_page(503) && answer.body.contains("Too many logins wait for a token"), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "temporarily_unavailable");
    assert_eq!(param(&answer.button(), "iss"), ISSUER);
    assert_eq!(world.reached("enrolments"), 1);
    code_of(&world.give(&page, GOOD).await);
}

#[tokio::test]
async fn t17_one_user_has_no_more_than_a_users_share_of_logins_that_wait_for_a_token() {
    let (world, _checker) = Checker::world().await;
    let client = world.register(public()).await;
    for _ in 0..MOST_OF_A_USER {
        world.asked_for_token(&client).await;
    }
    let (_, answer) = world.come_back(&client).await;
    assert!(answer.is_page(429), "{answer:#?}");
    assert!(answer.body.contains("Too many logins of this user wait for a token"), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "temporarily_unavailable");
    assert_eq!(param(&answer.button(), "iss"), ISSUER);
    assert_eq!(world.reached("enrolments_of_user"), 1);
}

#[tokio::test]
async fn a_server_that_wants_a_token_from_now_on_sends_its_clients_to_a_new_login() {
    let wanted = Arc::new(AtomicBool::new(false));
    let (world, _checker) = Checker::world_that_wants(wanted.clone(), 10).await;
    let client = world.register(public()).await;
    let tokens = world.tokens(&client).await;
    assert_eq!(header(&world, &tokens.access).await, "authorization: Bearer s3cr3t-access-1");
    wanted.store(true, Ordering::SeqCst);
    let world = world.restart();
    assert!(matches!(world.credential(&tokens.access).await, Err(ComposeError::AuthorizeAgain)));
    // Else the client would refresh for ever, and its user would never be asked.
    assert_eq!(world.refresh(&client, &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    let access = first_login(&world, &client).await;
    assert_eq!(header(&world, &access).await, format!("authorization: Bearer {GOOD}"));
    assert_eq!(header(&world, &tokens.access).await, format!("authorization: Bearer {GOOD}"));
}

#[tokio::test]
async fn t18_the_users_token_is_in_no_answer_and_in_no_row() {
    let (world, _checker) = Checker::world().await;
    let client = world.register(public()).await;
    let page = world.asked_for_token(&client).await;
    world.give(&page, "s3cr3t-bad").await;
    let code = code_of(&world.give(&page, GOOD).await);
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    world.credential(&tokens.access).await.unwrap();
    for answer in world.transcript.lock().unwrap().iter() {
        assert!(!answer.contains(MARK), "{answer}");
    }
    let (_, grant) = world.access_token(&tokens.access).await.unwrap();
    let kept = world.app.store.user_token(&Holder::of(&grant)).await.unwrap().unwrap();
    let row = serde_json::to_string(&kept).unwrap();
    assert!(!row.contains(MARK), "{row}");
    // One that waits for a token too.
    world.provider.answers(|script| script.user = user("eve"));
    world.asked_for_token(&client).await;
    let files = world.ended();
    for kept in ["jane@example.com", "eve@example.com"] {
        assert!(files.contains(kept), "the store's files cannot be read: there is no {kept}");
    }
    assert!(!files.contains(MARK));
}

//! What was approved leads only where it may lead by today's rule.

use crate::oauth::enrolment::EnrolmentId;
use crate::oauth::pending::{AuthorizationRequest, BrowserId, Purpose, StateId};
use crate::provider::ProviderError;
use crate::store::Begun;

use super::answer::{Answer, param};
use super::checker::{Checker, TokenPage};
use super::harness::World;
use super::login::{Browser, Client, public};
use super::provider::unreachable;

/// None of them may be registered today; the first are of our own origin.
const BAD: [&str; 8] = [
    "http://localhost:10000/callback",
    "http://localhost:10000/evil",
    "javascript:alert(1)//.",
    "\u{1}javascript:alert(1)//.",
    "data:text/html,x.y",
    "blob:https://app.example/x",
    "mailto:jane@app.example",
    "file:///etc/app.example",
];

/// As a row that leads to `uri`, from when that was allowed.
fn leading_to(request: &AuthorizationRequest, uri: &str) -> AuthorizationRequest {
    let mut row = serde_json::to_value(request).unwrap();
    row["redirect"] = uri.into();
    serde_json::from_value(row).unwrap()
}

fn id(browser: &Browser) -> BrowserId {
    let (_, value) = browser.0.as_deref().unwrap().split_once('=').unwrap();
    BrowserId::of(value)
}

/// A login that has come as far as the provider, and leads to `uri`.
async fn begun(world: &World, client: &Client, uri: &str) -> (Browser, String) {
    let page = world.authorize(client, &[]).await;
    let state = param(&world.approve(&page).await, "state");
    let (store, key) = (&world.app.store, StateId::of(&state));
    let mut pending = store.take_pending(&key, &id(&page.browser), world.now()).await.unwrap().unwrap();
    let Purpose::Authorization(request) = &pending.purpose else { panic!("{pending:?}") };
    pending.purpose = Purpose::Authorization(leading_to(request, uri));
    assert_eq!(store.begin(key, pending, 100).await.unwrap(), Begun::Done);
    (page.browser, state)
}

/// A login that waits for a token of the user's own, and leads to `uri`.
async fn waiting(world: &World, client: &Client, uri: &str) -> TokenPage {
    let page = world.asked_for_token(client).await;
    let (store, key) = (&world.app.store, EnrolmentId::of(&page.id));
    let mut enrolment = store.take_enrolment(&key, &id(&page.browser), world.now()).await.unwrap().unwrap();
    enrolment.request = leading_to(&enrolment.request, uri);
    assert_eq!(store.enrol(key, enrolment, 100).await.unwrap(), Some(Begun::Done));
    page
}

/// A page that leads nowhere, and nothing is granted.
async fn assert_nowhere(world: &World, answer: &Answer, what: &str) {
    assert!(answer.is_page(400), "{what}: {answer:#?}");
    assert_eq!((answer.header("location"), answer.header("refresh")), ("", ""), "{what}");
    assert!(
        !answer.body.contains("href=\"http") && !answer.body.contains("class=\"button"),
        "{what}: {answer:#?}"
    );
    assert!(!answer.body.contains("alert(1)") && !answer.body.contains("app.example"), "{what}: {answer:#?}");
    assert!(world.app.store.grants(None, 10).await.unwrap().is_empty(), "{what}");
}

#[tokio::test]
async fn t02_t03_where_a_login_leads_is_judged_again_when_the_provider_has_answered() {
    for uri in BAD {
        let world = World::new();
        let client = world.register(public()).await;
        for (what, params, exchange) in [
            ("a code", ("code", "s3cr3t-code"), None),
            ("a no", ("error", "access_denied"), None),
            ("an error", ("error", "server_error"), None),
            ("no answer", ("code", "s3cr3t-code"), Some(unreachable())),
            ("another account", ("code", "s3cr3t-code"), Some(ProviderError::NotAllowed("no".into()))),
        ] {
            let what = format!("{uri:?}: {what}");
            if let Some(error) = exchange {
                world.provider.answers(|script| script.exchange = Err(error));
            }
            let (browser, state) = begun(&world, &client, uri).await;
            let answer = world.callback(&browser, &[("state", &state), params]).await;
            assert_nowhere(&world, &answer, &what).await;
            assert!(
                world.callback(&browser, &[("state", &state), params]).await.is_page(403),
                "{what}: it is over"
            );
        }
        assert_eq!(world.provider.exchanges().len(), 0, "{uri:?}");
        assert_eq!(world.count_rows().await, 1, "the client, and no more");
    }
}

#[tokio::test]
async fn t02_t03_where_a_login_leads_is_judged_again_when_the_token_is_there() {
    let (world, checker) = Checker::world().await;
    let client = world.register(public()).await;
    for uri in BAD {
        for (decision, token) in [("approve", "s3cr3t-good"), ("approve", "s3cr3t-bad"), ("deny", "")] {
            let page = waiting(&world, &client, uri).await;
            let form =
                [("id", page.id.as_str()), ("csrf", &page.csrf), ("token", token), ("decision", decision)];
            let answer = world.send_form("/user-token", &page.browser, Some("same-origin"), &form).await;
            let what = format!("{uri:?}: {decision} {token}");
            assert_nowhere(&world, &answer, &what).await;
            assert!(world.give(&page, "s3cr3t-good").await.is_page(403), "{what}: it is over");
        }
    }
    assert!(checker.asked().is_empty());
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

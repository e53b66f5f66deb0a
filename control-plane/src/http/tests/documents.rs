use std::time::Duration;

use serde_json::{Value, json};

use super::answer::param;
use super::harness::World;
use super::login::{Browser, Client, REDIRECT};
use crate::client_document::{DocumentError, DomainPattern, Page, Policy};
use crate::config::Clients;

const URL: &str = "https://app.example/client.json";
const DOWN: DocumentError = DocumentError::Unavailable("no connection");

fn document(changes: &Value) -> Value {
    let mut document = json!({ "client_id": URL, "client_name": "Story", "redirect_uris": [REDIRECT] });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn client() -> Client {
    Client { id: URL.into(), secret: None, method: "none".into(), redirect: REDIRECT.into() }
}

/// Moves tokio's clock, by which documents age. It is not left paused.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// A document that is published, and a client that is used.
fn published() -> World {
    let world = World::new();
    world.web.publish(URL, &document(&json!({})));
    world
}

#[tokio::test]
async fn a_client_that_has_a_document_logs_its_user_in_without_registering() {
    let world = published();
    let tokens = world.tokens(&client()).await;
    let (_, grant) = world.access_token(&tokens.access).await.unwrap();
    assert_eq!(grant.client.as_str(), URL);
    let tokens = world.refresh(&client(), &tokens.refresh, &[]).await.tokens();
    assert_eq!(world.web.asked(), [URL], "one fetch is enough for a login, a code and a refresh");

    // For operators it is a client like any other.
    let listed = world.app.store.clients(None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), [URL]);
    assert_eq!(listed[0].name.as_deref(), Some("Story"));
    let scope = portcullis_proto::revocation::Scope::Client(listed[0].id.clone());
    world.app.revoke(scope, "test").await.unwrap();
    assert!(world.access_token(&tokens.access).await.is_none());
    assert_eq!(world.refresh(&client(), &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
    // And it may be granted anew.
    assert!(world.access_token(&world.tokens(&client()).await.access).await.is_some());
}

#[tokio::test]
async fn nothing_is_stored_of_a_client_that_nobody_has_logged_in_with() {
    let world = published();
    let page = world.authorize(&client(), &[]).await;
    world.decide(&page, "deny").await;
    assert_eq!(world.count_rows().await, 0);
    assert!(world.app.store.clients(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn t08_the_page_says_whose_client_it_is_whatever_its_name() {
    let world = World::new();
    world.web.publish(
        URL,
        &document(
            &json!({ "client_name": "Trusted <Inc>", "redirect_uris": ["http://127.0.0.1/cb", REDIRECT] }),
        ),
    );
    let page = world.authorize(&client(), &[]).await.answer;
    assert!(page.body.contains("<dd><strong>app.example</strong></dd>"), "{page:#?}");
    assert!(page.body.contains("Trusted &#60;Inc&#62;") && !page.body.contains("Any program on this device"));
    let local = Client { redirect: "http://127.0.0.1:7777/cb".into(), ..client() };
    let page = world.authorize(&local, &[]).await.answer;
    assert!(page.body.contains("<dd><strong>app.example</strong></dd>"), "{page:#?}");
    assert!(page.body.contains("Any program on this device can ask this"), "{page:#?}");
}

#[tokio::test]
async fn t01_what_the_document_does_not_list_is_never_redirected_to() {
    let world = published();
    for redirect in ["https://app.example/cb2", "https://evil.example/cb", "javascript:alert(1)"] {
        let asked = Client { redirect: redirect.into(), ..client() };
        assert!(world.open(&Browser::default(), &asked, &[]).await.is_page(400), "{redirect}");
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_used_is_said_so_on_a_page() {
    let world = World::new();
    let malformed = || Ok(Page { body: b"{".to_vec(), fresh_for: Duration::ZERO });
    let with_secret = document(&json!({ "client_secret": "s" })).to_string().into_bytes();
    let for_another = document(&json!({ "client_id": "https://app.example/other" })).to_string().into_bytes();
    let cases: [(Result<Page, DocumentError>, u16); 7] = [
        (malformed(), 400),
        (Ok(Page { body: with_secret, fresh_for: Duration::ZERO }), 400),
        (Ok(Page { body: for_another, fresh_for: Duration::ZERO }), 400),
        (Err(DocumentError::Gone), 400),
        (Err(DocumentError::NotPublic), 400),
        (Err(DocumentError::Malformed), 400),
        (Err(DOWN), 502),
    ];
    for (answer, status) in cases {
        world.web.answer(URL, answer.clone());
        let page = world.open(&Browser::default(), &client(), &[]).await;
        assert!(page.is_page(status), "{answer:?}");
        assert!(page.body.contains("You have not been sent anywhere"), "{page:#?}");
        assert_eq!(world.redeem(&client(), "x", &[]).await.error(), (401, "invalid_client".into()));
        pass(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn t17_nobody_is_asked_about_a_client_that_nobody_has_logged_in_with_and_that_only_says_so() {
    let world = published();
    let page = world.authorize(&client(), &[]).await;
    world.approve(&page).await;
    pass(Duration::from_mins(10)).await;
    world.web.asked();
    assert_eq!(world.redeem(&client(), "x", &[]).await.error(), (401, "invalid_client".into()));
    assert_eq!(world.revoke(&client(), "x").await.error(), (401, "invalid_client".into()));
    assert!(world.web.asked().is_empty());
    world.tokens(&client()).await;
    pass(Duration::from_mins(10)).await;
    world.web.asked();
    assert_eq!(world.redeem(&client(), "x", &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.web.asked(), [URL]);
}

#[tokio::test]
async fn t17_we_do_not_ask_ourselves() {
    let world = World::serving(&[("demo", "https://mcp.example.com/demo/mcp")]);
    let own = "https://mcp.example.com/authorize?client_id=https://app.example/client.json";
    let asked = Client { id: own.into(), ..client() };
    let page = world.open(&Browser::default(), &asked, &[]).await;
    assert!(page.is_page(400) && page.body.contains("on this very service"), "{page:#?}");
    assert!(world.web.asked().is_empty());
}

#[tokio::test]
async fn a_client_that_was_public_is_not_taken_for_public_once_its_document_has_said_otherwise() {
    for seen_by_a_login in [false, true] {
        let world = published();
        let tokens = world.tokens(&client()).await;
        let key = crate::provider::testing::SigningKey::es256("k");
        let hardened =
            json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key.jwk()] } });
        world.web.publish(URL, &document(&hardened));
        pass(Duration::from_mins(10)).await;
        if seen_by_a_login {
            world.authorize(&client(), &[]).await;
        } else {
            assert_eq!(world.redeem(&client(), "x", &[]).await.error(), (401, "invalid_client".into()));
        }
        world.web.answer(URL, Err(DOWN));
        pass(Duration::from_mins(10)).await;
        let refused = world.refresh(&client(), &tokens.refresh, &[]).await;
        assert_eq!(refused.error(), (503, "temporarily_unavailable".into()));
    }
}

#[tokio::test]
async fn odd_urls_are_not_even_asked_for() {
    let world = World::new();
    for id in [
        "https://app.example",
        "https://127.0.0.1/c",
        "https://[::1]/c",
        "https://169.254.169.254/latest/meta-data/",
        "https://app.example/a/../c",
        "https://user@app.example/c",
        "https://app.example/c#f",
        "HTTPS://app.example/c",
        "http://app.example/c",
        &format!("https://app.example/{}", "a".repeat(1024)),
        &"c".repeat(5000),
    ] {
        let asked = Client { id: id.into(), ..client() };
        assert!(world.open(&Browser::default(), &asked, &[]).await.is_page(400), "{id}");
        assert_eq!(world.redeem(&asked, "x", &[]).await.error(), (401, "invalid_client".into()), "{id}");
    }
    assert!(world.web.asked().is_empty());
}

#[tokio::test]
async fn a_change_of_the_document_takes_effect_and_its_sessions_go_on() {
    let world = published();
    let tokens = world.tokens(&client()).await;
    let moved = "https://app.example/moved";
    world.web.publish(URL, &document(&json!({ "redirect_uris": [moved] })));
    world.authorize(&client(), &[]).await; // what was fetched is still fresh
    pass(Duration::from_mins(10)).await;
    assert!(world.open(&Browser::default(), &client(), &[]).await.is_page(400));
    let new = Client { redirect: moved.into(), ..client() };
    world.tokens(&new).await;
    assert!(world.access_token(&tokens.access).await.is_some());
    world.refresh(&client(), &tokens.refresh, &[]).await.tokens();
}

#[tokio::test]
async fn a_change_between_the_page_and_its_form_takes_effect() {
    let world = published();
    let page = world.authorize(&client(), &[]).await;
    world.web.publish(URL, &document(&json!({ "redirect_uris": ["https://app.example/moved"] })));
    pass(Duration::from_mins(10)).await;
    assert!(world.decide(&page, "approve").await.is_page(400));
}

#[tokio::test]
async fn t08_an_answer_goes_where_the_page_said_or_nowhere() {
    let world = published();
    let shown = world.authorize(&client(), &[("redirect_uri", "")]).await;
    assert!(shown.answer.body.contains("app.example"));
    world.web.publish(URL, &document(&json!({ "redirect_uris": ["https://evil.example/cb"] })));
    pass(Duration::from_mins(10)).await;
    for decision in ["approve", "deny"] {
        let answer = world.decide(&shown, decision).await;
        assert!(answer.is_page(400) && !answer.body.contains("evil.example"), "{answer:#?}");
    }
    assert_eq!(world.count_rows().await, 0);
    // What is shown now, can be approved.
    let shown = world.authorize(&client(), &[("redirect_uri", "")]).await;
    assert!(shown.answer.body.contains("evil.example"));
    world.approve(&shown).await;
}

#[tokio::test]
async fn t01_t04_a_wrong_request_of_a_client_with_a_document_leads_nowhere_by_itself() {
    let world = published();
    let answer = world.open(&Browser::default(), &client(), &[("response_type", "token")]).await;
    assert!(answer.is_page(400) && answer.body.contains("Back to app.example<"), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "unsupported_response_type");
}

#[tokio::test]
async fn a_web_site_that_is_down_ends_no_session_and_lets_no_login_begin() {
    let world = published();
    let tokens = world.tokens(&client()).await;
    let under_way = world.authorize(&client(), &[]).await;
    let state = param(&world.approve(&under_way).await, "state");
    world.web.answer(URL, Err(DOWN));
    pass(Duration::from_mins(10)).await;
    assert!(world.open(&Browser::default(), &client(), &[]).await.is_page(502));
    let tokens = world.refresh(&client(), &tokens.refresh, &[]).await.tokens();
    assert!(world.access_token(&tokens.access).await.is_some());
    let back =
        world.callback(&under_way.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.redirect();
    world.redeem(&client(), &param(&back, "code"), &[]).await.tokens();
    assert_eq!(world.revoke(&client(), &tokens.access).await.status, 200);
    assert!(world.access_token(&tokens.access).await.is_none());
}

#[tokio::test]
async fn whoever_takes_the_document_away_ends_the_client() {
    let world = published();
    let tokens = world.tokens(&client()).await;
    world.web.answer(URL, Err(DocumentError::Gone));
    pass(Duration::from_mins(10)).await;
    let refused = world.refresh(&client(), &tokens.refresh, &[]).await;
    assert_eq!(refused.error(), (401, "invalid_client".into()));
    // Nothing was used up: a document that is back is a client again.
    world.web.publish(URL, &document(&json!({})));
    pass(Duration::from_secs(5)).await;
    world.refresh(&client(), &tokens.refresh, &[]).await.tokens();
}

#[tokio::test]
async fn many_requests_for_one_document_are_one_fetch() {
    let world = published();
    let browser = Browser::default();
    let client = client();
    let open = || world.open(&browser, &client, &[]);
    let answers = tokio::join!(open(), open(), open(), open());
    assert!(answers.0.is_page(200) && answers.3.is_page(200));
    assert_eq!(world.web.asked().len(), 1);
}

#[tokio::test]
async fn only_the_domains_that_the_configuration_admits_are_asked() {
    let world = World::with(|config| {
        let allowed_domains = Some(vec![DomainPattern::Below("trusted.example".into())]);
        config.clients.metadata_documents = Some(Policy { allowed_domains, ..Policy::default() });
    });
    let trusted = "https://a.trusted.example/client.json";
    for url in [URL, trusted] {
        world.web.publish(url, &document(&json!({ "client_id": url })));
    }
    let page = world.open(&Browser::default(), &client(), &[]).await;
    assert!(page.is_page(400) && page.body.contains("of this domain are not admitted"), "{page:#?}");
    assert_eq!(world.redeem(&client(), "x", &[]).await.error(), (401, "invalid_client".into()));
    assert!(world.web.asked().is_empty());
    world.tokens(&Client { id: trusted.into(), ..client() }).await;
}

fn off(clients: &mut Clients) {
    clients.metadata_documents = None;
}

#[tokio::test]
async fn what_is_turned_off_is_neither_advertised_nor_there() {
    let metadata = async |world: &World| world.get("/.well-known/oauth-authorization-server").await.json();
    let usual = World::new();
    assert_eq!(metadata(&usual).await["client_id_metadata_document_supported"], true);
    assert!(metadata(&usual).await["registration_endpoint"].is_string());

    let world = World::with(|config| off(&mut config.clients));
    world.web.publish(URL, &document(&json!({})));
    assert!(metadata(&world).await.get("client_id_metadata_document_supported").is_none());
    assert!(world.open(&Browser::default(), &client(), &[]).await.is_page(400));
    assert_eq!(world.redeem(&client(), "x", &[]).await.error(), (401, "invalid_client".into()));
    assert!(world.web.asked().is_empty());

    let world = World::with(|config| config.clients.registration = false);
    assert!(metadata(&world).await.get("registration_endpoint").is_none());
    let answer = world.post("/register", "application/json", super::login::public().to_string()).await;
    assert_eq!(answer.status, 404);
    assert_eq!(world.count_rows().await, 0);
}

#[tokio::test]
async fn a_record_of_a_document_is_no_client_once_documents_are_turned_off() {
    let world = published();
    let tokens = world.tokens(&client()).await;
    let world = world.restart_with(|config| off(&mut config.clients));
    assert_eq!(world.refresh(&client(), &tokens.refresh, &[]).await.error(), (401, "invalid_client".into()));
    assert!(world.open(&Browser::default(), &client(), &[]).await.is_page(400));
}

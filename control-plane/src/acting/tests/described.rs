//! Clients that are described elsewhere, each with a client of its own at the provider.

use portcullis_proto::revocation::Scope;
use serde_json::json;

use super::*;
use crate::clients;
use crate::config;
use crate::http::tests::login::REDIRECT;

const URL: &str = "https://app.example/client.json";

fn published(adjust: fn(&mut Config)) -> World {
    let world = World::with(adjust);
    let document = json!({ "client_id": URL, "client_name": "Editor", "redirect_uris": [REDIRECT] });
    world.web.publish(URL, &document);
    world
}

fn client(id: &str) -> login::Client {
    login::Client { id: id.into(), secret: None, method: "none".into(), redirect: REDIRECT.into() }
}

async fn kept(world: &World) -> Option<crate::oauth::client::Client> {
    world.app.store.client(&ClientId::new(URL), world.now()).await.unwrap()
}

#[tokio::test]
async fn a_client_with_a_document_has_a_provider_client_from_its_first_login_on() {
    let world = published(dynamic);
    for _ in 0..2 {
        world.tokens(&client(URL)).await;
        assert_eq!(last(&world), "dyn-1 s3cr3t-1");
        world.clock.advance(48 * HOUR);
        world.app.store.sweep(world.now(), 1000).await.unwrap();
    }
    assert_eq!(world.provider.registrations(), ["Editor via Portcullis"]);
    assert_eq!(kept(&world).await.unwrap().unused_until, None);
    // Revoked, it goes at the provider too, as far as we know it.
    world.app.revoke(Scope::Client(ClientId::new(URL)), "test").await.unwrap();
    world.tokens(&client(URL)).await;
    assert_eq!(last(&world), "dyn-2 s3cr3t-2");
}

#[tokio::test]
async fn approval_alone_keeps_a_document_for_no_longer_than_a_registration() {
    let world = published(dynamic);
    let page = world.authorize(&client(URL), &[]).await;
    assert!(kept(&world).await.is_none(), "nothing is kept before approval");
    world.approve(&page).await;
    assert!(kept(&world).await.unwrap().unused_until.is_some());
    world.clock.advance(24 * HOUR);
    world.app.store.sweep(world.now(), 1000).await.unwrap();
    assert_eq!(world.count_rows().await, 0, "the provider client goes with it");
}

#[tokio::test]
async fn t17_documents_that_nobody_logs_in_with_fill_a_quota() {
    let world = published(|config| {
        dynamic(config);
        config.limits.unused_clients = 1;
    });
    // Somebody is logging in with the one that there is, so it makes no room.
    let other = world.register(public()).await;
    world.approve(&world.authorize(&other, &[]).await).await;
    let page = world.authorize(&client(URL), &[]).await;
    let answer = world.decide(&page, "approve").await;
    assert!(answer.is_page(503), "{answer:#?}");
    assert_eq!(param(&answer.button(), "error"), "temporarily_unavailable");
    assert_eq!(world.provider.registrations().len(), 1, "the provider is not troubled");
    assert_eq!(world.reached("unused_clients"), 1);
}

#[tokio::test]
async fn a_configured_client_has_a_provider_client_too() {
    let world = World::with(|config| {
        dynamic(config);
        let text = format!(
            "providers: {{ corp: {{ kind: oidc, issuer: 'https://idp.example.com', client_id: portcullis, client_secret: {{ value: s3cr3t }} }} }}
servers: {{ demo: {{ url: 'http://localhost:10000/demo/mcp', upstream: 'http://127.0.0.1:9/', provider: corp }} }}
clients: {{ preregistered: {{ farm: {{ client_id: the farm, name: Farm, redirect_uris: ['{REDIRECT}'] }} }} }}"
        );
        config.clients = config::parse(&text, std::path::Path::new("p"), &|_| None).unwrap().clients;
        config.limits.unused_clients = 0;
    });
    world.tokens(&client("the farm")).await;
    assert_eq!(world.provider.registrations(), ["Farm via Portcullis"]);
    assert_eq!(last(&world), "dyn-1 s3cr3t-1");
}

#[tokio::test]
async fn a_provider_that_fetches_documents_finds_that_of_a_client_which_is_a_url() {
    let world = published(dynamic);
    world.provider.answers(|script| script.documents = true);
    let tokens = world.tokens(&client(URL)).await;
    let path = "/provider-clients/~aHR0cHM6Ly9hcHAuZXhhbXBsZS9jbGllbnQuanNvbg.json";
    let url = format!("{ISSUER}{path}");
    assert_eq!(last(&world), format!("{url} none"));
    world.clock.advance(HOUR);
    assert!(matches!(freshen(&world, &tokens).await, Freshness::Good(_)));

    // A process that has never seen the client asks nobody for it.
    world.web.asked();
    let world = world.restart();
    let document = world.get(path).await.json();
    assert_eq!(
        (document["client_id"].as_str(), document["client_name"].as_str()),
        (Some(url.as_str()), Some("Editor via Portcullis"))
    );
    assert!(world.web.asked().is_empty());
    assert_eq!(clients::name(&world.app, &ClientId::new(URL)).await.as_deref(), Some("Editor"));
    assert_eq!(world.get("/provider-clients/https%3A%2F%2Fapp.example%2Fclient.json.json").await.status, 404);
}

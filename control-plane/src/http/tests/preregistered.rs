use std::time::Duration;

use portcullis_proto::ids::ClientId;

use super::answer::param;
use super::harness::{ISSUER, World};
use super::login::{Browser, Client, REDIRECT};
use super::provider::MARK;
use crate::config::{self, Config};

const SECRET: &str = "s3cr3t-of-an-operator";

fn configure(config: &mut Config) {
    let text = format!(
        "providers:
  corp: {{ kind: oidc, issuer: 'https://idp.example.com', client_id: portcullis, client_secret: {{ value: s3cr3t }} }}
servers:
  demo: {{ url: 'http://localhost:10000/demo/mcp', upstream: 'http://127.0.0.1:9/', provider: corp }}
clients:
  registration: {{ enabled: false }}
  preregistered:
    backstage: {{ name: Backstage, redirect_uris: ['{REDIRECT}'], secret: {{ value: {SECRET} }} }}
    editor: {{ client_id: the editor, redirect_uris: ['{REDIRECT}'] }}
"
    );
    config.clients = config::parse(&text, std::path::Path::new("p"), &|_| None).unwrap().clients;
}

fn client(id: &str, method: &str) -> Client {
    let secret = method.starts_with("client_secret").then(|| SECRET.to_owned());
    Client { id: id.into(), secret, method: method.into(), redirect: REDIRECT.into() }
}

#[tokio::test]
async fn a_configured_client_is_usable_at_once_and_never_expires() {
    let world = World::with(configure);
    for client in [
        client("backstage", "client_secret_basic"),
        client("backstage", "client_secret_post"),
        client("the editor", "none"),
    ] {
        let tokens = world.tokens(&client).await;
        world.refresh(&client, &tokens.refresh, &[]).await.tokens();
        world.clock.advance(Duration::from_hours(24 * 400));
        world.app.store.sweep(world.now(), 1000).await.unwrap();
    }
    let page = world.authorize(&client("backstage", "none"), &[]).await.answer;
    assert!(page.body.contains("Whoever runs this service has set this application up"), "{page:#?}");
}

#[tokio::test]
async fn t04_t13_a_configured_client_hears_of_a_wrong_request_at_once() {
    let world = World::with(configure);
    let editor = client("the editor", "none");
    let back = world.open(&Browser::default(), &editor, &[("response_type", "token")]).await.redirect();
    assert!(back.as_str().starts_with(&format!("{REDIRECT}?")), "{back}");
    assert_eq!(param(&back, "error"), "unsupported_response_type");
    assert_eq!(
        (param(&back, "iss").as_str(), param(&back, "state").as_str()),
        (ISSUER, "the client's state")
    );
}

#[tokio::test]
async fn configured_clients_count_in_no_quota() {
    let world = World::with(|config| {
        configure(config);
        config.clients.registration = true;
        config.limits.unused_clients = 1;
    });
    world.tokens(&client("the editor", "none")).await;
    world.register(super::login::public()).await;
}

#[tokio::test]
async fn without_the_configured_secret_nothing_is_issued() {
    let world = World::with(configure);
    let good = client("backstage", "client_secret_basic");
    let code = world.log_in(&good, &[]).await;
    for wrong in [
        client("backstage", "none"),
        Client { secret: Some("another".into()), ..good.clone() },
        Client { secret: Some(String::new()), ..client("backstage", "client_secret_post") },
        client("the editor", "client_secret_basic"),
        client("unknown", "client_secret_basic"),
    ] {
        assert_eq!(
            world.redeem(&wrong, &code, &[]).await.error(),
            (401, "invalid_client".into()),
            "{wrong:?}"
        );
    }
    world.redeem(&good, &code, &[]).await.tokens();
}

#[tokio::test]
async fn t18_the_store_has_no_trace_of_a_configured_secret() {
    let world = World::with(configure);
    world.tokens(&client("backstage", "client_secret_basic")).await;
    let record = world.app.store.client(&ClientId::new("backstage"), world.now()).await.unwrap().unwrap();
    assert_eq!(record.name.as_deref(), Some("Backstage"));
    assert_eq!(record.auth, crate::oauth::client::ClientAuth::None);
    let files = world.ended();
    assert!(files.contains("Backstage"), "the store's files cannot be read");
    assert!(!files.contains(SECRET) && !files.contains(MARK));
}

#[tokio::test]
async fn a_client_that_was_removed_from_the_configuration_is_none_any_more() {
    let world = World::with(configure);
    let (backstage, editor) = (client("backstage", "client_secret_basic"), client("the editor", "none"));
    let tokens = world.tokens(&backstage).await;
    let editors = world.tokens(&editor).await;
    let world = world.restart_with(|_| {});
    // Not by its record either, which says that it has no secret.
    for gone in [&backstage, &client("backstage", "none"), &editor] {
        assert_eq!(world.refresh(gone, &tokens.refresh, &[]).await.error(), (401, "invalid_client".into()));
        assert!(world.open(&Browser::default(), gone, &[]).await.is_page(400));
    }
    // What it was given goes on until it expires, or is revoked.
    assert!(world.access_token(&editors.access).await.is_some());
    let scope = portcullis_proto::revocation::Scope::Client(ClientId::new("the editor"));
    world.app.revoke(scope, "test").await.unwrap();
    assert!(world.access_token(&editors.access).await.is_none());
    // Put back, it is the same client.
    let world = world.restart_with(configure);
    world.refresh(&backstage, &tokens.refresh, &[]).await.tokens();
}

mod described;

use std::time::Duration;

use portcullis_proto::ids::{ClientId, ProviderName};
use portcullis_proto::time::Timestamp;

use super::sealed::open;
use super::*;
use crate::config::Config;
use crate::http::tests::answer::{Tokens, param};
use crate::http::tests::harness::{ISSUER, World};
use crate::http::tests::login::{self, public};
use crate::http::tests::provider::{MARK, Script, unreachable};
use crate::oauth::grant::Grant;
use crate::oauth::provider_client::{ProviderClient, ProviderClientId};
use crate::provider::DynamicRegistration;
use crate::store::contract::fixtures::provider_client;
use crate::upstream::{self, Freshness};

const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn dynamic(config: &mut Config) {
    let Some(Settings::Oidc(corp)) = config.providers.get_mut(&corp()) else { panic!("no corp") };
    corp.app.identity = AppIdentity::Dynamic(DynamicRegistration::default());
    config.lifetimes.access_token = 24 * HOUR;
}

fn corp() -> ProviderName {
    ProviderName::new("corp")
}

fn expires(world: &World, after: Duration) -> impl FnOnce(&mut Script) {
    let at: Timestamp = world.now().after(after);
    move |script| script.registration = Ok(Some(at))
}

async fn named(world: &World, name: &str) -> login::Client {
    let mut metadata = public();
    metadata["client_name"] = name.into();
    world.register(metadata).await
}

async fn grant(world: &World, tokens: &Tokens) -> Option<Grant> {
    world.access_token(&tokens.access).await.map(|(_, grant)| grant)
}

async fn freshen(world: &World, tokens: &Tokens) -> Freshness {
    let grant = grant(world, tokens).await.unwrap();
    upstream::freshen(&world.app, grant, world.now()).await.unwrap()
}

/// As whom the provider has seen us last.
fn last(world: &World) -> String {
    world.provider.acted().pop().unwrap()
}

#[tokio::test]
async fn each_mcp_client_has_a_provider_client_of_its_own_that_bears_its_name() {
    let world = World::with(dynamic);
    let (editor, nameless) = (named(&world, "Editor").await, named(&world, "\u{202e}").await);
    for client in [&editor, &nameless, &editor] {
        world.tokens(client).await;
    }
    assert_eq!(world.provider.registrations(), ["Editor via Portcullis", "MCP client via Portcullis"]);
    assert_eq!(world.provider.acted(), ["dyn-1 s3cr3t-1", "dyn-2 s3cr3t-2", "dyn-1 s3cr3t-1"]);
    let page = world.authorize(&editor, &[]).await;
    assert_eq!(param(&world.approve(&page).await, "client_id"), "dyn-1");
}

#[tokio::test]
async fn the_configured_app_acts_for_all_where_there_is_one() {
    let world = World::new();
    let client = world.register(public()).await;
    world.tokens(&client).await;
    assert_eq!(last(&world), "portcullis s3cr3t-client");
    assert!(world.provider.registrations().is_empty());
    assert_eq!(world.get(&format!("/provider-clients/{}.json", client.id)).await.status, 404);
}

#[tokio::test]
async fn t17_the_provider_registers_nobody_before_approval_and_no_more_than_the_quota() {
    let world = World::with(|config| {
        dynamic(config);
        config.limits.provider_clients = 1;
    });
    let (known, other) = (named(&world, "Known").await, named(&world, "Other").await);
    let page = world.authorize(&known, &[]).await;
    world.decide(&page, "deny").await;
    assert!(world.provider.registrations().is_empty());
    world.tokens(&known).await;
    for _ in 0..3 {
        let page = world.authorize(&other, &[]).await;
        let answer = world.decide(&page, "approve").await;
        assert!(answer.is_page(503), "{answer:#?}");
        assert_eq!(param(&answer.button(), "error"), "temporarily_unavailable");
    }
    assert_eq!(world.reached("provider_clients"), 3);
    assert_eq!(world.provider.registrations(), ["Known via Portcullis"], "the provider is not troubled");
    world.tokens(&known).await;
}

#[tokio::test]
async fn two_logins_of_one_client_at_once_make_one_provider_client() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    let (one, other) = (world.authorize(&client, &[]).await, world.authorize(&client, &[]).await);
    world.provider.hold();
    let go_on = async {
        world.provider.asked_to_register(1).await;
        world.provider.go_on();
    };
    let (one, other, ()) = tokio::join!(world.approve(&one), world.approve(&other), go_on);
    assert_eq!([param(&one, "client_id"), param(&other, "client_id")], ["dyn-1", "dyn-1"]);
    assert_eq!((world.provider.registrations().len(), world.provider.taken_back()), (1, 0));
}

#[tokio::test]
async fn of_two_processes_one_wins_and_the_other_takes_back_what_it_made() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    let client = world.app.store.client(&ClientId::new(client.id), world.now()).await.unwrap().unwrap();
    let replica = world.replica(&world.provider);
    world.provider.hold();
    let begin = async |app: &Arc<App>| {
        let issuer = app.issuers.named(None).unwrap();
        super::begin(app, &issuer, &client, &corp()).await.unwrap().credentials.client_id
    };
    let go_on = async {
        world.provider.asked_to_register(2).await;
        world.provider.go_on();
    };
    let (one, other, ()) = tokio::join!(begin(&world.app), begin(&replica), go_on);
    assert_eq!(one, other);
    assert_eq!((world.provider.registrations().len(), world.provider.taken_back()), (2, 1));
}

#[tokio::test]
async fn whoever_approves_and_goes_away_leaves_a_client_for_the_next_time() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    world.provider.hold();
    tokio::select! {
        biased;
        url = world.approve(&page) => panic!("{url}"),
        () = world.provider.asked_to_register(1) => {}
    }
    world.provider.go_on();
    assert_eq!(param(&world.approve(&page).await, "client_id"), "dyn-1");
    assert_eq!(world.provider.registrations().len(), 1);
}

#[tokio::test]
async fn a_grant_is_refreshed_as_the_client_that_it_was_made_under_also_after_a_restart() {
    let world = World::with(dynamic);
    world.provider.answers(expires(&world, 10 * HOUR));
    let client = world.register(public()).await;
    let old = world.tokens(&client).await;
    world.clock.advance(7 * HOUR);
    world.tokens(&client).await;
    assert_eq!(last(&world), "dyn-1 s3cr3t-1", "more than a quarter of its life is left");
    world.clock.advance(HOUR);
    let new = world.tokens(&client).await;
    assert_eq!(last(&world), "dyn-2 s3cr3t-2", "ahead of the end of the first one's secret");

    let world = world.restart();
    world.clock.advance(HOUR);
    for (tokens, acting) in [(&old, "dyn-1 s3cr3t-1"), (&new, "dyn-2 s3cr3t-2")] {
        assert!(matches!(freshen(&world, tokens).await, Freshness::Good(_)));
        assert_eq!(last(&world), acting);
    }
}

#[tokio::test]
async fn a_client_that_the_provider_does_not_know_any_more_is_registered_anew_by_the_next_login() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    let good = world.provider.script().exchange;
    let gone = || Err(ProviderError::Refused("invalid_client".into()));
    world.provider.answers(|script| script.exchange = gone());
    let page = world.authorize(&client, &[]).await;
    let state = param(&world.approve(&page).await, "state");
    let answer = world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await;
    assert!(answer.is_page(502) && answer.body.contains("did not work"), "{answer:#?}");
    world.provider.answers(|script| script.exchange = good);
    world.tokens(&client).await;
    assert_eq!(last(&world), "dyn-2 s3cr3t-2");
}

#[tokio::test]
async fn a_grant_whose_provider_client_is_gone_lasts_as_long_as_its_credential() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    let tokens = world.tokens(&client).await;
    world.provider.answers(|script| script.refresh = Err(ProviderError::Refused("invalid_client".into())));
    world.clock.advance(59 * HOUR / 60);
    assert!(matches!(freshen(&world, &tokens).await, Freshness::Good(_)));
    assert_eq!(world.revocations(), 0);
    // The next login is another client's, and nothing that the first one was given is shown any more.
    world.tokens(&client).await;
    assert_eq!(last(&world), "dyn-2 s3cr3t-2");
    world.clock.advance(HOUR);
    assert!(matches!(freshen(&world, &tokens).await, Freshness::Dead));
    assert!(grant(&world, &tokens).await.is_none(), "only a new login helps");
    assert_eq!((last(&world).as_str(), world.revocations()), ("dyn-2 s3cr3t-2", 1));
}

#[tokio::test]
async fn a_revoked_client_is_registered_anew() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    world.tokens(&client).await;
    let scope = portcullis_proto::revocation::Scope::Client(ClientId::new(client.id.as_str()));
    world.app.revoke(scope, "test").await.unwrap();
    world.tokens(&client).await;
    assert_eq!(last(&world), "dyn-2 s3cr3t-2");
}

#[tokio::test]
async fn a_provider_that_registers_nobody_is_said_so_with_a_way_back() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    for (error, title, code) in [
        (ProviderError::NoRegistration, "cannot be used", "server_error"),
        (ProviderError::Refused("registration: HTTP 401".into()), "cannot be used", "server_error"),
        (unreachable(), "cannot be reached", "temporarily_unavailable"),
    ] {
        world.provider.answers(|script| script.registration = Err(error));
        let page = world.authorize(&client, &[]).await;
        let answer = world.decide(&page, "approve").await;
        assert!(answer.is_page(502) && answer.body.contains(title), "{answer:#?}");
        assert_eq!(param(&answer.button(), "error"), code);
    }
    assert_eq!(world.count_rows().await, 1, "the client, and no more");
}

#[tokio::test]
async fn t18_a_registered_clients_secret_is_kept_sealed_and_shown_to_nobody() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    let tokens = world.tokens(&client).await;
    let grant = grant(&world, &tokens).await.unwrap();
    let ActingClient::Registered(id) = &grant.acting else { panic!("{grant:?}") };
    let row = world.app.store.provider_client(&grant.client, id).await.unwrap().unwrap();
    let kept = serde_json::to_string(&row).unwrap();
    let opened = open(&world.app, row.clone()).unwrap();
    assert!(!format!("{kept} {row:?} {opened:?}").contains(MARK), "{kept}");
    // In another row's place the secret opens nothing.
    let moved = ProviderClient { id: ProviderClientId::new("another"), ..row };
    assert!(matches!(open(&world.app, moved), Err(ActingError::Open(_))));
    for answer in world.transcript.lock().unwrap().iter() {
        assert!(!answer.contains(MARK), "{answer}");
    }
}

#[tokio::test]
async fn another_provider_under_the_same_name_is_shown_no_secret() {
    let world = World::with(dynamic);
    let client = world.register(public()).await;
    let id = ClientId::new(client.id.as_str());
    let slot = Slot { provider: corp(), ..crate::store::contract::fixtures::slot(&client.id) };
    let before = provider_client("before", &Slot { authority: "https://former.example".into(), ..slot });
    let acting = ActingClient::Registered(before.id.clone());
    world.app.store.keep_provider_client(before, 10, world.now()).await.unwrap();
    assert!(matches!(recall(&world.app, &corp(), Some(&id), &acting).await, Err(ActingError::Lost)));
    world.tokens(&client).await;
    assert_eq!(last(&world), "dyn-1 s3cr3t-1");
    // And what the configured app was given is nobody's where there is none any more.
    let app = recall(&world.app, &corp(), Some(&id), &ActingClient::App).await;
    assert!(matches!(app, Err(ActingError::Lost)));
}

#[tokio::test]
async fn a_provider_that_fetches_documents_is_given_a_url_of_ours() {
    let world = World::with(dynamic);
    world.provider.answers(|script| script.documents = true);
    let client = named(&world, "Editor").await;
    let tokens = world.tokens(&client).await;
    let path = format!("/provider-clients/{}.json", client.id);
    let url = format!("{ISSUER}{path}");
    assert_eq!(last(&world), format!("{url} none"));
    world.clock.advance(HOUR);
    assert!(matches!(freshen(&world, &tokens).await, Freshness::Good(_)));
    assert_eq!(last(&world), format!("{url} none"));

    let document = world.get(&path).await.json();
    assert_eq!(document["client_id"], url);
    assert_eq!(document["client_name"], "Editor via Portcullis");
    assert_eq!(document["redirect_uris"][0], format!("{ISSUER}/callback"));
    assert_eq!(document["token_endpoint_auth_method"], "none");
    assert_eq!(document["scope"], "openid email");
    for unknown in ["/provider-clients/unknown.json", "/provider-clients/", path.trim_end_matches(".json")] {
        assert_eq!(world.get(unknown).await.status, 404, "{unknown}");
    }
}

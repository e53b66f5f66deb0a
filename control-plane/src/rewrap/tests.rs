use portcullis_proto::ids::{ClientId, GrantId};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::seal::{Field, SealingKey};
use secrecy::ExposeSecret;

use super::*;
use crate::http::tests::checker::Checker;
use crate::http::tests::harness::World;
use crate::http::tests::login::public;
use crate::oauth::grant::Grant;
use crate::oauth::provider_client::{KeptAuth, ProviderClient, ProviderClientId};
use crate::store::contract::fixtures::{MANY, code, provider_client, slot, token_id};

const GOOD: &str = "s3cr3t-good-token";

fn done(rows: u64) -> Pass {
    Pass { done: rows, ..Pass::default() }
}

async fn used(app: &App) -> Usage {
    usage(app.store.as_ref()).await.unwrap()
}

fn rotate(app: &App) -> String {
    app.keys.rotate(app.random.as_ref(), app.now()).unwrap()
}

/// More grants like an access token's, under the current key.
async fn more(world: &World, access: &str, count: usize) {
    let (_, own) = world.access_token(access).await.unwrap();
    for number in 0..count {
        let id = GrantId::new(format!("grant-{number}"));
        let (master_key, data_key) =
            world.app.keys.wrap(&SystemRandom, &id, &SealingKey::generate(&SystemRandom));
        let grant = Grant { id, master_key, data_key, ..own.clone() };
        let code_id = token_id(&format!("code-{number}"));
        world.app.store.grant(grant.clone(), code_id, code(&grant)).await.unwrap();
    }
}

#[tokio::test]
async fn everything_that_is_sealed_comes_under_the_new_key_and_still_opens() {
    let (world, _checker) = Checker::world().await;
    let client = world.register(public()).await;
    // A user's token and the grant; a form that waits for a token; a client at a provider.
    let page = world.asked_for_token(&client).await;
    let given = world.give(&page, GOOD).await;
    let code = crate::http::tests::answer::param(&given.button(), "code");
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    world.provider.answers(|script| script.user = crate::http::tests::provider::user("eve"));
    let open = world.asked_for_token(&client).await;
    let (app, id) = (&world.app, ProviderClientId::new("p"));
    let kept = app.keys.seal(&SystemRandom, &id, Field::ProviderClientSecret, &"hush".into());
    let row = ProviderClient {
        id: id.clone(),
        auth: KeptAuth::SecretPost(kept),
        ..provider_client("p", &slot(&client.id))
    };
    app.store.keep_provider_client(row, MANY, app.now()).await.unwrap();

    let old = app.keys.current();
    assert_eq!(used(app).await, Usage::from([(old.clone(), 4)]));
    assert_eq!(pass(app).await.unwrap(), done(0));
    let new = rotate(app);
    assert_eq!(pass(app).await.unwrap(), done(4));
    assert_eq!(used(app).await, Usage::from([(new.clone(), 4)]));
    assert_eq!(pass(app).await.unwrap(), done(0));
    let text = app.metrics.encode();
    assert!(text.contains("portcullis_master_key_rows_behind 0"), "{text}");
    assert!(text.contains("portcullis_rewrapped_rows_total{outcome=\"done\"} 4"), "{text}");

    // The form that was open goes on, under the key that signed it.
    let given = world.give(&open, GOOD).await;
    assert_eq!(given.status, 200, "{given:#?}");
    // Without the old key everything opens.
    world.clock.advance(crate::keys::MasterKeys::STAYS);
    app.keys.forget(&old, app.now()).unwrap();
    world.app.store.sweep(app.now(), MANY).await.unwrap();
    let grants = app.store.grants(None, MANY).await.unwrap();
    assert!(!grants.is_empty() && grants.iter().all(|grant| grant.master_key == new));
    let tokens = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    let headers = world.credential(&tokens.access).await.unwrap();
    assert_eq!(headers[0].value, format!("Bearer {GOOD}"));
    let row = app.store.provider_client(&ClientId::new(client.id.as_str()), &id).await.unwrap().unwrap();
    let KeptAuth::SecretPost(kept) = row.auth else { panic!() };
    let secret = app.keys.open_secret(&id, Field::ProviderClientSecret, &kept).unwrap();
    assert_eq!(secret.expose_secret(), "hush");
}

#[tokio::test]
async fn t31_whoever_was_killed_in_between_goes_on_where_it_was() {
    let world = World::new();
    let client = world.register(public()).await;
    let access = world.tokens(&client).await.access;
    more(&world, &access, 5).await;
    let new = rotate(&world.app);
    // Two rows are done when the process ends.
    let rows = world.app.store.wrapped(None, 2).await.unwrap();
    step(&world.app, rows, &mut Pass::default()).await.unwrap();
    let world = world.restart();
    assert_eq!(world.app.keys.current(), new);
    assert_eq!(used(&world.app).await[&new], 2);
    assert_eq!(pass(&world.app).await.unwrap(), done(4));
    assert_eq!(used(&world.app).await, Usage::from([(new, 6)]));
    assert!(world.access_token(&access).await.is_some());
}

#[tokio::test]
async fn what_a_request_writes_late_under_the_old_key_is_found_by_the_next_pass() {
    let world = World::new();
    let client = world.register(public()).await;
    let access = world.tokens(&client).await.access;
    let (_, own) = world.access_token(&access).await.unwrap();
    let id = GrantId::new("late");
    let data_key = SealingKey::generate(&SystemRandom);
    let (old, wrapped) = world.app.keys.wrap(&SystemRandom, &id, &data_key);
    let new = rotate(&world.app);
    assert_eq!(pass(&world.app).await.unwrap(), done(1));
    let grant = Grant { id: id.clone(), master_key: old, data_key: wrapped, ..own };
    world.app.store.grant(grant.clone(), token_id("late"), code(&grant)).await.unwrap();
    assert_eq!(pass(&world.app).await.unwrap(), done(1));
    let grant = world.app.store.live_grant(&id).await.unwrap().unwrap();
    assert_eq!(grant.master_key, new);
    let opened = world.app.keys.unwrap_key(&new, &id, &grant.data_key).unwrap();
    assert_eq!(opened.expose(), data_key.expose());
}

#[tokio::test]
async fn a_row_that_does_not_open_stays_and_keeps_nobody_back() {
    let world = World::new();
    let client = world.register(public()).await;
    let access = world.tokens(&client).await.access;
    let (_, own) = world.access_token(&access).await.unwrap();
    let old = own.master_key.clone();
    // Sealed for another grant.
    let grant = Grant { id: GrantId::new("damaged"), ..own };
    world.app.store.grant(grant.clone(), token_id("damaged"), code(&grant)).await.unwrap();
    let new = rotate(&world.app);
    assert_eq!(pass(&world.app).await.unwrap(), Pass { done: 1, failed: 1, overtaken: 0 });
    assert_eq!(used(&world.app).await, Usage::from([(old, 1), (new, 1)]));
    let text = world.app.metrics.encode();
    assert!(text.contains("portcullis_master_key_rows_behind 1"), "{text}");
    assert!(text.contains("portcullis_rewrapped_rows_total{outcome=\"failed\"} 1"), "{text}");
    assert_eq!(catch_up(&world.app).await, Some(AGAIN), "no endless loop over it");
}

#[tokio::test]
async fn a_pass_that_meets_a_newer_key_is_followed_by_another() {
    let world = World::new();
    let client = world.register(public()).await;
    let access = world.tokens(&client).await.access;
    more(&world, &access, STEP + 10).await;
    rotate(&world.app);
    let rotating = async {
        tokio::task::yield_now().await;
        rotate(&world.app)
    };
    let (pause, newest) = tokio::join!(catch_up(&world.app), rotating);
    assert_eq!(pause, Some(AGAIN));
    catch_up(&world.app).await;
    assert_eq!(used(&world.app).await, Usage::from([(newest, STEP as u64 + 11)]));
}

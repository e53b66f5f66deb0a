//! One login from beginning to end, and that nothing of it leaks.

use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::token::{Access, Presented};
use portcullis_proto::v1;
use prost::Message;

use super::answer::param;
use super::harness::{DEMO, ISSUER, World};
use super::log::Log;
use super::login::{REDIRECT, confidential, public};
use super::provider::MARK;
use crate::oauth::pkce::CodeChallenge;

#[tokio::test]
async fn a_client_registers_logs_its_user_in_and_gets_the_providers_credential_sealed() {
    let world = World::new();
    let client = world.register(public()).await;

    let page = world.authorize(&client, &[("scope", "email"), ("resource", DEMO)]).await;
    let provider = world.approve(&page).await;
    assert_eq!(provider.host_str(), Some("idp.example.com"));
    assert_eq!(param(&provider, "redirect_uri"), format!("{ISSUER}/callback"));
    assert_eq!(param(&provider, "scope"), "email");

    let state = param(&provider, "state");
    let back = world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.redirect();
    assert!(back.as_str().starts_with(&format!("{REDIRECT}?")), "{back}");
    assert_eq!(param(&back, "state"), "the client's state");
    assert_eq!(param(&back, "iss"), ISSUER);
    let exchange = &world.provider.exchanges()[0];
    assert_eq!(exchange.code, "s3cr3t-code");
    assert_eq!(exchange.redirect_uri, param(&provider, "redirect_uri"));
    assert_eq!(exchange.nonce, param(&provider, "nonce"));
    assert_eq!(CodeChallenge::of(&exchange.verifier).as_str(), param(&provider, "code_challenge"));

    let tokens = world.redeem(&client, &param(&back, "code"), &[("redirect_uri", REDIRECT)]).await.tokens();
    assert_eq!(tokens.scope, "email");
    let (token, grant) = world.access_token(&tokens.access).await.unwrap();
    assert_eq!((grant.server.as_str(), grant.client.as_str()), ("demo", client.id.as_str()));
    assert_eq!((grant.subject.as_str(), grant.email.as_deref()), ("jane", Some("jane@example.com")));

    let presented = Presented::<Access>::parse(&tokens.access).unwrap();
    let key = SealingKey::of_token(presented);
    let data_key = key.unwrap_key(&grant.id, Field::DataKeyForToken, &token.wrapped_key).unwrap();
    let credential = data_key.open(&grant.id, Field::Credential, &grant.upstream.credential).unwrap();
    let header = v1::Credential::decode(credential.as_slice()).unwrap().headers.remove(0);
    assert_eq!((header.name.as_str(), header.value.as_str()), ("authorization", "Bearer s3cr3t-access-1"));

    let next = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    assert!(world.access_token(&next.access).await.is_some());
    assert_eq!(world.revoke(&client, &next.refresh).await.status, 200);
    assert!(world.access_token(&next.access).await.is_none());
    assert!(world.access_token(&tokens.access).await.is_none());
}

#[tokio::test]
async fn t18_no_secret_is_in_any_log_and_no_provider_secret_in_any_answer() {
    let (log, _guard) = Log::keep(tracing::Level::TRACE);

    let world = World::new();
    let client = world.register(confidential("client_secret_post")).await;
    let page = world.authorize(&client, &[]).await;
    let provider = world.approve(&page).await;
    let state = param(&provider, "state");
    let back = world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await.redirect();
    let code = param(&back, "code");
    // Every kind of failure, with the secrets in the request.
    world.redeem(&client, &code, &[("redirect_uri", "https://else.example/")]).await.error();
    world.redeem(&client, &code, &[("code_verifier", "s3cr3t-verifier")]).await.error();
    world.redeem(&client, &code, &[("grant_type", "password")]).await.error();
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    world.refresh(&client, &tokens.refresh, &[("scope", "more")]).await.error();
    let next = world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    world.refresh(&client, &tokens.refresh, &[]).await.tokens();
    world.redeem(&client, &code, &[]).await.error();
    world.revoke(&client, &next.access).await;
    world.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await;
    world.provider.answers(|script| script.exchange = Err(super::provider::unreachable()));
    let again = world.authorize_in(&page.browser, &client, &[]).await;
    let second = param(&world.approve(&again).await, "state");
    world.callback(&page.browser, &[("state", &second), ("code", "s3cr3t-code")]).await;

    let log = log.take();
    for event in ["client registered", "approved", "logged in", "code redeemed", "came again", "login failed"]
    {
        assert!(log.contains(event), "the log has no {event:?}: {log}");
    }
    let cookie = page.browser.0.unwrap();
    let secrets = [
        client.secret.as_deref().unwrap(),
        cookie.split_once('=').unwrap().1,
        &page.csrf,
        &state,
        &second,
        &param(&provider, "nonce"),
        &code,
        &tokens.access,
        &tokens.refresh,
        &next.access,
        &next.refresh,
        super::login::VERIFIER,
        "the client's state",
        MARK,
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
    // Clients and browsers see nothing of what is between us and the provider.
    for answer in world.transcript.lock().unwrap().iter() {
        assert!(!answer.contains(MARK), "{answer}");
    }
}

//! `registration: dynamic`, at a provider that others have made: it tells the MCP clients apart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says why")]

use std::collections::BTreeSet;

use http::StatusCode;
use portcullis_tests::client::{Client, Tokens};
use portcullis_tests::stack::{Part, Provider, Stack};
use serde::Deserialize;
use serde_json::json;

/// What the provider has seen since it started.
#[derive(Debug, Deserialize)]
struct Seen {
    registered: Vec<Registered>,
    given: Vec<Given>,
}

#[derive(Debug, Deserialize)]
struct Registered {
    client_id: String,
    client_name: String,
}

/// Tokens.
#[derive(Debug, Deserialize)]
struct Given {
    client_id: String,
    client_name: String,
    grant_type: String,
}

async fn seen(stack: &Stack) -> Seen {
    let url = format!("http://{}/seen", stack.addresses().provider);
    let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// The provider's token that the MCP server gets.
async fn credential(stack: &Stack, client: &Client, tokens: &Tokens) -> String {
    stack.upstream().take();
    let answer = client.call(&tokens.access_token, "whoami", &json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let requests = stack.upstream().take();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests[0].headers["authorization"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_mcp_client_is_a_client_of_its_own_at_the_provider_and_stays_the_same_over_a_restart() {
    let mut stack = Stack::builder().provider(Provider::Registering).start().await;
    let clients =
        [Client::register(stack.url(), "Editor").await, Client::register(stack.url(), "Agent").await];
    let mut sessions = Vec::new();
    for (client, user) in clients.iter().zip(["ada", "grace"]) {
        let tokens = client.login(user).await;
        let credential = credential(&stack, client, &tokens).await;
        sessions.push((client, tokens, credential));
    }
    let Seen { registered, .. } = seen(&stack).await;
    let names: Vec<_> = registered.iter().map(|client| client.client_name.as_str()).collect();
    assert_eq!(names, ["Editor via Portcullis", "Agent via Portcullis"]);

    stack.restart(Part::ControlPlane).await;
    for (client, tokens, before) in sessions {
        let given = seen(&stack).await.given.len();
        let tokens = client.refresh(&tokens.refresh_token).await.tokens();
        assert_ne!(credential(&stack, client, &tokens).await, before, "the provider was asked for another");
        let Seen { registered, given: all } = seen(&stack).await;
        let own = registered.iter().find(|seen| seen.client_name.starts_with(name_of(client, &clients)));
        let refreshed: Vec<_> = all[given..].iter().collect();
        assert!(!refreshed.is_empty());
        for given in refreshed {
            assert_eq!(given.grant_type, "refresh_token");
            assert_eq!(given.client_id, own.unwrap().client_id, "as the client that it was given to");
        }
    }
    // Whoever logs in again is still the same client there.
    clients[0].login("alan").await;
    let Seen { registered, given } = seen(&stack).await;
    assert_eq!(registered.len(), 2);
    let registered: BTreeSet<_> = registered.into_iter().map(|client| client.client_id).collect();
    let given: BTreeSet<_> = given.into_iter().map(|given| given.client_id).collect();
    assert_eq!(given, registered);
    let log = stack.log(Part::ControlPlane);
    assert!(
        log.contains("registered at the provider") && !log.contains("demo-initial-access-token"),
        "{log}"
    );
}

fn name_of(client: &Client, clients: &[Client; 2]) -> &'static str {
    if client.client_id == clients[0].client_id { "Editor" } else { "Agent" }
}

#[tokio::test]
async fn a_provider_that_has_lost_its_clients_gets_new_ones() {
    let mut stack = Stack::builder().provider(Provider::Registering).start().await;
    let client = Client::register(stack.url(), "Editor").await;
    let tokens = client.login("ada").await;
    let before = credential(&stack, &client, &tokens).await;
    // It keeps everything in memory.
    stack.restart(Part::Provider).await;
    let tokens = client.refresh(&tokens.refresh_token).await.tokens();
    assert_eq!(credential(&stack, &client, &tokens).await, before, "good while it lasts");
    assert!(seen(&stack).await.registered.is_empty());
    let tokens = client.login("ada").await;
    assert_ne!(credential(&stack, &client, &tokens).await, before);
    let registered = seen(&stack).await.registered;
    assert_eq!(registered.len(), 1, "{registered:?}");
    assert_eq!(registered[0].client_name, "Editor via Portcullis");
}

#[tokio::test]
async fn a_provider_that_fetches_documents_knows_the_clients_by_urls_of_the_edge() {
    let stack = Stack::builder().provider(Provider::Documents).start().await;
    let clients =
        [Client::register(stack.url(), "Editor").await, Client::register(stack.url(), "Agent").await];
    for client in &clients {
        let tokens = client.login("ada").await;
        let before = credential(&stack, client, &tokens).await;
        let tokens = client.refresh(&tokens.refresh_token).await.tokens();
        assert_ne!(credential(&stack, client, &tokens).await, before, "the provider was asked for another");
    }
    let given = seen(&stack).await.given;
    for (client, name) in clients.iter().zip(["Editor via Portcullis", "Agent via Portcullis"]) {
        let id = format!("{}/provider-clients/{}.json", stack.origin(), client.client_id);
        let own: Vec<_> = given.iter().filter(|given| given.client_id == id).collect();
        assert!(own.iter().all(|given| given.client_name == name), "{own:?}");
        let types: BTreeSet<_> = own.iter().map(|given| given.grant_type.as_str()).collect();
        assert_eq!(types, ["authorization_code", "refresh_token"].into());
    }
    assert_eq!(given.iter().map(|given| given.client_id.as_str()).collect::<BTreeSet<_>>().len(), 2);
}

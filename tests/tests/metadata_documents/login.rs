//! Clients with documents, from the login to the revocation, through the edge.

use http::StatusCode;
use portcullis_tests::client::Client;
use portcullis_tests::documents::DocumentSite;
use portcullis_tests::scripts::python;
use portcullis_tests::stack::{McpServer, Provider, Stack};
use serde_json::{Value, json};

const PATH: &str = "/client.json";
const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

/// A client's web site, and a Portcullis that may fetch from it.
async fn stack(
    registration: bool,
    builder: impl FnOnce() -> portcullis_tests::stack::Builder,
) -> (DocumentSite, Stack) {
    let site = DocumentSite::start().await;
    let policy = site.policy();
    let stack = builder().configure(move |config, _| {
        config["clients"] =
            json!({ "metadata_documents": policy, "registration": { "enabled": registration } });
    });
    (site, stack.start().await)
}

fn document(site: &DocumentSite, redirect_uri: &str) -> Value {
    json!({ "client_id": site.url(PATH), "client_name": "A site's client", "redirect_uris": [redirect_uri] })
}

#[tokio::test]
async fn a_client_with_a_document_lives_a_whole_life_without_registering() {
    let (site, stack) = stack(true, Stack::builder).await;
    site.publish(PATH, &document(&site, REDIRECT_URI));
    let id = site.url(PATH);
    // The tests' own client registers; from then on it is another one.
    let mut client = Client::register(stack.url(), "Unused").await;
    client.client_id.clone_from(&id);
    let tokens = client.login("ada").await;
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    let request = stack.upstream().take().pop().unwrap();
    assert_eq!(request.headers["x-portcullis-client"], id);
    let tokens = client.refresh(&tokens.refresh_token).await.tokens();
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    assert_eq!(site.asked(), [PATH]);

    // Operators see it under its URL, and can end it by that.
    let listed = stack.cli(&["clients", "list"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&id) && listed.contains("A site's client"), "{listed}");
    let revoked = stack.cli(&["clients", "revoke", &id]).await;
    assert!(revoked.status.success(), "{revoked:?}");
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(client.refresh(&tokens.refresh_token).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_official_client_uses_its_document_where_it_cannot_register() {
    let (site, stack) =
        stack(false, || Stack::builder().provider(Provider::OidcProvider).mcp_server(McpServer::FastMcp))
            .await;
    site.publish(PATH, &document(&site, REDIRECT_URI));
    let url = site.url(PATH);
    let steps = python("dance.py", &[stack.url(), "--client-metadata-url", &url]).await;
    assert_eq!(steps["client_id"], url);
    assert_eq!(steps["tokens"]["iss"], stack.origin());
    assert_eq!(site.asked(), [PATH]);
}

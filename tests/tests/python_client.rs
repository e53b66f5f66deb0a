//! The official Python client, a certified provider and a FastMCP server, with Portcullis between them.

use portcullis_tests::scripts::python;
use portcullis_tests::stack::{McpServer, Part, Provider, Stack};
use serde_json::{Value, json};

async fn dance(mode: &str) -> Value {
    let stack = Stack::builder().provider(Provider::OidcProvider).mcp_server(McpServer::FastMcp);
    let stack = stack.start().await;
    let steps = python("dance.py", &[stack.url(), "--mode", mode]).await;

    // The script fails where anything is wrong that it can see. What it cannot:
    assert_eq!(steps["tokens"]["iss"], stack.origin());
    let credential = |step: &str| steps[step]["whoami"]["credential"].clone();
    assert_ne!(credential("first_use"), Value::Null);
    assert_eq!(credential("first_use"), credential("after_refresh"), "the provider was asked without need");
    assert_ne!(
        credential("first_use"),
        credential("after_new_login"),
        "a dead session's credential lives on"
    );
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge] {
        let log = stack.log(part);
        assert!(!log.contains("pcl_at_") && !log.contains("pcl_rt_"), "a token in the log of {part:?}");
    }
    steps
}

#[tokio::test]
async fn a_whole_life_in_the_newest_protocol() {
    let steps = dance("auto").await;
    assert_eq!(steps["first_use"]["protocol"], json!("2026-07-28"));
}

#[tokio::test]
async fn a_whole_life_in_the_protocol_with_sessions() {
    let steps = dance("legacy").await;
    assert_eq!(steps["first_use"]["protocol"], json!("2025-11-25"));
}

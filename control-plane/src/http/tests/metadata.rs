use axum::http::Request;
use serde_json::json;

use super::harness::{DEMO, ISSUER, World};

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn the_authorization_server_is_described_in_every_position_that_clients_look_in() {
    let world = World::new();
    for path in [
        SERVER.to_owned(),
        OPENID.to_owned(),
        format!("{SERVER}/demo/mcp"),
        format!("{SERVER}/demo/mcp/"),
        format!("{OPENID}/demo/mcp"),
        format!("/demo/mcp{OPENID}"),
        format!("/demo/mcp{SERVER}"),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), "public, max-age=300", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let metadata = answer.json();
        assert_eq!(metadata["issuer"], ISSUER, "{path}");
        for (member, endpoint) in [
            ("authorization_endpoint", "/authorize"),
            ("token_endpoint", "/token"),
            ("registration_endpoint", "/register"),
            ("revocation_endpoint", "/revoke"),
        ] {
            assert_eq!(metadata[member], format!("{ISSUER}{endpoint}"), "{path}");
        }
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]), "{path}");
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true, "{path}");
        assert_eq!(metadata["scopes_supported"], json!(["email", "openid"]), "{path}");
        assert_eq!(metadata.get("jwks_uri").is_some(), path.contains("openid"), "{path}");
    }
    assert_eq!(world.get("/.well-known/jwks.json").await.json(), json!({ "keys": [] }));
}

#[tokio::test]
async fn the_protected_resource_is_described_at_the_root_and_at_its_path() {
    let world = World::new();
    for path in [RESOURCE.to_owned(), format!("{RESOURCE}/demo/mcp"), format!("{RESOURCE}/demo/mcp/")] {
        let answer = world.get(&path).await;
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let metadata = json!({
            "resource": DEMO,
            "resource_name": "demo",
            "authorization_servers": [ISSUER],
            "scopes_supported": ["openid", "email"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!(answer.json(), metadata, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_described() {
    let world = World::new();
    for path in [
        "/",
        "/demo",
        "/demo/mcp",
        &format!("{RESOURCE}/demo"),
        &format!("{RESOURCE}/demo/mcp/more"),
        &format!("{RESOURCE}/%ff"),
        &format!("{SERVER}/demo/MCP"),
        &format!("{OPENID}/other"),
        &format!("/other{OPENID}"),
        &format!("/demo/mcp{RESOURCE}"),
        &format!("/demo/mcp{OPENID}/more"),
        "/.well-known/other",
    ] {
        let status = world.get(path).await.status;
        assert!(status == 404 || (status == 400 && path.contains('%')), "{path}: {status}");
    }
}

#[tokio::test]
async fn several_servers_of_one_origin_have_one_issuer_and_a_description_each() {
    let world =
        World::serving(&[("a", "http://localhost:10000/a"), ("b", "http://localhost:10000/deep/er/b")]);
    assert_eq!(world.get(RESOURCE).await.status, 404);
    let b = world.get(&format!("{RESOURCE}/deep/er/b")).await.json();
    assert_eq!(b["resource"], "http://localhost:10000/deep/er/b");
    assert_eq!(b["authorization_servers"], json!([ISSUER]));
    assert_eq!(world.get(&format!("/deep/er/b{OPENID}")).await.json()["issuer"], ISSUER);
}

#[tokio::test]
async fn head_is_a_get_without_a_body() {
    let world = World::new();
    let answer = world.send(Request::head(SERVER), "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
}

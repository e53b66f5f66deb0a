//! Tokens of the MCP server's own kind.

use std::time::Duration;

use portcullis_proto::ids::TokenId;

use crate::control_plane::eventually;
use crate::harness::{World, issue};

async fn world() -> World {
    let world = World::new().await;
    let passthrough = ["ghp_", "github_pat_"].map(str::to_owned).to_vec();
    world.stream.catalog_with(|server| server.passthrough = passthrough).await;
    eventually("the instance has the catalog", async || {
        world.service.ask("demo", Some("Bearer ghp_first")).await.status == 200
    })
    .await;
    world
}

#[tokio::test]
async fn a_token_of_the_servers_own_goes_through_and_nobody_is_asked() {
    let world = world().await;
    let verdict = world.service.ask("demo", Some("Bearer github_pat_11ABC")).await;
    assert_eq!(verdict.short(), (200, "passthrough"));
    assert!(!verdict.headers.contains_key("authorization") && verdict.removed.is_empty());
    assert!(verdict.headers.values().all(String::is_empty), "{verdict:?}");
    assert_eq!(verdict.metadata["decision"], "allow");
    assert_eq!(verdict.metadata["token_id"], TokenId::of("github_pat_11ABC").short());
    assert_eq!(world.control.asked(), 0);
    let metrics = world.service.get("/metrics").await;
    assert!(metrics.contains(r#"decision="allow",reason="passthrough"} 2"#), "{metrics}");
}

#[tokio::test]
async fn t24_every_other_token_is_judged_as_ever() {
    let world = world().await;
    for authorization in ["Bearer gho_other", "Basic ghp_a", "Bearer ghp_a,Bearer ghp_b", "Bearer ghp_a!"] {
        assert_eq!(world.service.ask("demo", Some(authorization)).await.short(), (401, "malformed"));
    }
    assert_eq!(world.service.ask("demo", None).await.short(), (401, "missing_token"));
    assert_eq!(world.service.ask("other", Some("Bearer ghp_a")).await.short(), (401, "malformed"));
    let (token, record) = issue();
    world.control.knows(&record);
    assert_eq!(world.service.check(&token).await.short(), (200, "allowed"));
    let (unknown, _) = issue();
    assert_eq!(world.service.check(&unknown).await.short(), (401, "unknown"));
}

#[tokio::test]
async fn t33_a_stale_instance_passes_nothing_through() {
    let world = World::with_staleness(Duration::from_secs(2)).await;
    world.stream.catalog_with(|server| server.passthrough = vec!["ghp_".to_owned()]).await;
    eventually("the instance is stale", async || {
        world.service.ask("demo", Some("Bearer ghp_a")).await.short() == (503, "stale")
    })
    .await;
}

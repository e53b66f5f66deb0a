//! The matrix of docs/COMPATIBILITY.md: MCP clients that others have made, a certified provider and a FastMCP server,
//! with Portcullis between them, as it is and as older servers were.

use portcullis_tests::binaries::tools;
use portcullis_tests::front::Manner;
use portcullis_tests::scripts::{node, python};
use portcullis_tests::stack::{Builder, McpServer, Part, Provider, Stack};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A client in one of its modes.
#[derive(Clone, Copy, Debug)]
struct Seat {
    /// Who logs in.
    user: &'static str,
    /// The script that drives it.
    script: &'static str,
    /// `legacy`, or `auto`: the newest that the server offers.
    mode: &'static str,
    /// What it must come to speak, where it says so.
    protocol: Option<&'static str>,
}

const NEWEST: Option<&str> = Some("2026-07-28");
const WITH_SESSIONS: Option<&str> = Some("2025-11-25");

#[rustfmt::skip]
const SEATS: [Seat; 6] = [
    Seat { user: "ada", script: "dance.py", mode: "auto", protocol: NEWEST },
    Seat { user: "alan", script: "dance.py", mode: "legacy", protocol: WITH_SESSIONS },
    Seat { user: "barbara", script: "client.mjs", mode: "auto", protocol: NEWEST },
    Seat { user: "donald", script: "client.mjs", mode: "legacy", protocol: WITH_SESSIONS },
    Seat { user: "edsger", script: "mcp-remote.mjs", mode: "auto", protocol: None },
    Seat { user: "grace", script: "mcp-remote.mjs", mode: "legacy", protocol: None },
];

// === impl Seat ===

impl Seat {
    /// The whole life: the script fails where anything is wrong that it can see.
    async fn live(self, url: String, metadata: bool) -> (Self, Value) {
        let arguments = [url.as_str(), "--mode", self.mode, "--user", self.user, "--step-up-from", "openid"];
        let steps = if self.script == "dance.py" {
            let without_iss: &[&str] = if metadata { &[] } else { &["--without-iss"] };
            python(self.script, &[&arguments, without_iss].concat()).await
        } else {
            let interpreter = tools("bin/python").to_string_lossy().into_owned();
            node(self.script, &[arguments.as_slice(), &["--python", interpreter.as_str()]].concat()).await
        };
        (self, steps)
    }
}

fn stack() -> Builder {
    // What every request needs is more than what a client is left with for its step-up.
    let require = |config: &mut Value| config["servers"]["demo"]["required_scopes"] = json!(["email"]);
    let builder = Stack::builder().configure(move |config, _| require(config));
    builder.provider(Provider::OidcProvider).mcp_server(McpServer::FastMcp)
}

/// The same with a second server at the same origin: for a client that does not say which it means, its user does.
fn with_another_server() -> Builder {
    stack().configure(|config, _| {
        let mut other = config["servers"]["demo"].clone();
        let url = other["url"].as_str().unwrap_or_default().replace("/demo/", "/other/");
        other["url"] = url.into();
        config["servers"]["other"] = other;
    })
}

/// Every client lives its life at this stack, all at once; with metadata of the authorization server or without.
async fn all_live(stack: &Stack, metadata: bool) -> Vec<(Seat, Value)> {
    let live = |seat: Seat| seat.live(stack.url().to_owned(), metadata);
    let lives: JoinSet<_> = SEATS.into_iter().map(live).collect();
    let lives = lives.join_all().await;
    for (seat, steps) in &lives {
        check(*seat, steps, &stack.origin());
    }
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge] {
        let log = stack.log(part);
        assert!(!log.contains("pcl_at_") && !log.contains("pcl_rt_"), "a token in the log of {part:?}");
    }
    lives
}

/// What a script cannot see.
fn check(seat: Seat, steps: &Value, origin: &str) {
    let iss = &steps["tokens"]["iss"];
    assert!(iss.is_null() || iss == origin, "{seat:?}: {iss}");
    if let Some(protocol) = seat.protocol {
        assert_eq!(steps["first_use"]["protocol"], json!(protocol), "{seat:?}");
    }
    let credential = |step: &str| steps[step]["whoami"]["credential"].clone();
    assert_ne!(credential("first_use"), Value::Null, "{seat:?}");
    assert_eq!(
        credential("first_use"),
        credential("after_refresh"),
        "{seat:?}: the provider was asked without need"
    );
    let has = steps["after_step_up"]["whoami"]["identity"]["x-portcullis-scopes"].as_str();
    for scopes in [has, steps["after_step_up"]["scope"].as_str()] {
        let mut scopes: Vec<_> = scopes.unwrap_or_default().split(' ').collect();
        scopes.sort_unstable();
        assert_eq!(scopes, ["email", "openid"], "{seat:?}: after the step-up");
    }
    assert_ne!(
        credential("first_use"),
        credential("after_new_login"),
        "{seat:?}: a dead session's credential lives on"
    );
}

fn challenged_with_metadata(steps: &Value) -> bool {
    let challenge = steps["revoked"]["challenge"].to_string();
    assert!(challenge.contains("Bearer "), "{challenge}");
    challenge.contains("resource_metadata=")
}

#[tokio::test]
async fn every_client_lives_a_whole_life() {
    let stack = stack().start().await;
    for (seat, steps) in all_live(&stack, true).await {
        assert!(challenged_with_metadata(&steps), "{seat:?}");
    }
}

#[tokio::test]
async fn every_client_lives_a_whole_life_without_resource_metadata() {
    let stack = with_another_server().front(Manner::HidesResourceMetadata).start().await;
    for (seat, steps) in all_live(&stack, true).await {
        assert!(!challenged_with_metadata(&steps), "{seat:?}");
    }
    let hidden = stack.front().hidden();
    assert!(hidden.contains("/.well-known/oauth-protected-resource/demo/mcp"), "{hidden:?}");
    assert!(
        stack.log(Part::ControlPlane).contains("chosen by the user"),
        "every client has named its server"
    );
}

#[tokio::test]
async fn every_client_lives_a_whole_life_without_any_metadata() {
    let stack = with_another_server().front(Manner::HidesAllMetadata).start().await;
    for (seat, steps) in all_live(&stack, false).await {
        assert!(!challenged_with_metadata(&steps), "{seat:?}");
    }
    let hidden = stack.front().hidden();
    assert!(hidden.contains("/.well-known/oauth-authorization-server"), "{hidden:?}");
    assert!(
        stack.log(Part::ControlPlane).contains("chosen by the user"),
        "every client has named its server"
    );
}

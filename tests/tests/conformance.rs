//! The MCP conformance suite (`@modelcontextprotocol/conformance`): against the authorization server that Portcullis
//! is, and against an MCP server with and without Portcullis in front of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says why")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use portcullis_tests::binaries::root;
use portcullis_tests::client::{Browser, Client, Visit};
use portcullis_tests::front::Manner;
use portcullis_tests::programs::free_addresses;
use portcullis_tests::stack::{McpServer, Stack};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

const DEADLINE: Duration = Duration::from_secs(90);
/// The suite's checks at the authorization server: what each came to.
const AUTHORIZATION: [(&str, &str); 3] = [
    ("authorization-server-authorization-code-grant authorization-code-grant", "SUCCESS"),
    ("authorization-server-authorization-server-metadata-endpoint authorization-server-metadata", "SUCCESS"),
    (
        "authorization-server-authorization-server-metadata-endpoint authorization-server-metadata-cimd",
        "SUCCESS",
    ),
];

/// A check of a scenario, and how often it came to what.
type Verdicts = BTreeMap<(String, String), usize>;

/// The suite's command line, for the Node.js that it needs.
fn suite(arguments: &[&str], results: &Path) -> Command {
    let modules = root().join("tests/node/node_modules");
    let mut command = Command::new(modules.join(".bin/node"));
    command.arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"));
    command.args(arguments).arg("--output-dir").arg(results).kill_on_drop(true);
    command
}

/// What the suite has written about a run.
fn verdicts(results: &Path) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for entry in std::fs::read_dir(results).unwrap() {
        let entry = entry.unwrap();
        let directory = entry.file_name().into_string().unwrap();
        let (scenario, _time) = directory.split_at(directory.len() - "-2026-11-26T20-18-30-793Z".len());
        let checks = std::fs::read_to_string(entry.path().join("checks.json")).unwrap();
        for check in serde_json::from_str::<Vec<Value>>(&checks).unwrap() {
            let (id, status) = (check["id"].as_str().unwrap(), check["status"].as_str().unwrap());
            *verdicts.entry((format!("{scenario} {id}"), status.to_owned())).or_default() += 1;
        }
    }
    verdicts
}

/// Runs what a revision of MCP requires of a server.
async fn server_scenarios(url: &str, revision: &str) -> Verdicts {
    let results = tempfile::tempdir().unwrap();
    let mut run = suite(&["server", "--url", url, "--requirements", revision], results.path());
    // Its exit status says whether the MCP server is perfect, which is not asked here.
    let output = timeout(DEADLINE, run.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("=== SUMMARY ==="), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    verdicts(results.path())
}

/// The suite says the same of an MCP server, whether Portcullis is in front of it or not.
async fn same_through_portcullis(revision: &str, at_least: usize) {
    let stack = Stack::builder().mcp_server(McpServer::Everything).front(Manner::HidesNothing);
    let stack = stack.start().await;
    let tokens = Client::register(stack.url(), "Conformance").await.login("ada").await;
    stack.front().add_token(&tokens.access_token);

    let direct = server_scenarios(&format!("http://{}/mcp", stack.addresses().mcp_server), revision).await;
    let through = server_scenarios(stack.url(), revision).await;
    let differ = |a: &Verdicts, b: &Verdicts| {
        a.iter()
            .filter(|(key, times)| b.get(key) != Some(times))
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(differ(&through, &direct), [], "through Portcullis, and not so without");
    assert_eq!(differ(&direct, &through), [], "without Portcullis, and not so through it");
    let passed: usize =
        through.iter().filter(|((_, status), _)| status == "SUCCESS").map(|(_, times)| times).sum();
    assert!(passed >= at_least, "only {passed} checks passed: {through:?}");
}

#[tokio::test]
async fn server_scenarios_of_2025_11_25_are_the_same_through_portcullis() {
    same_through_portcullis("2025-11-25", 60).await;
}

#[tokio::test]
async fn server_scenarios_of_2026_07_28_are_the_same_through_portcullis() {
    same_through_portcullis("2026-07-28", 140).await;
}

#[tokio::test]
async fn the_authorization_scenarios_pass() {
    let stack = Stack::builder().start().await;
    let [callback] = free_addresses().unwrap();
    let port = callback.port().to_string();
    let redirect_uri = format!("http://127.0.0.1:{port}/callback");
    let http = reqwest::Client::new();
    let metadata = json!({ "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none" });
    let registered = http.post(format!("{}/register", stack.origin())).json(&metadata).send().await.unwrap();
    let registered: Value = registered.json().await.unwrap();
    let (client, issuer) = (registered["client_id"].as_str().unwrap(), stack.origin());

    let results = tempfile::tempdir().unwrap();
    let (url, resource) = (["--url", &issuer], ["--resource", stack.url()]);
    let arguments =
        [&["authorization"], &url[..], &["--client-id", client, "--port", &port], &resource].concat();
    let mut run = suite(&arguments, results.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    let authorize = format!("{issuer}/authorize?");
    while let Some(line) = timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap() {
        if line.starts_with(&authorize) {
            let callback =
                Browser::new().visit(&Url::parse(&line).unwrap(), &redirect_uri, Visit::approve("ada")).await;
            http.get(Url::parse_with_params(&redirect_uri, &callback).unwrap()).send().await.unwrap();
        }
        printed.push(line);
    }
    let status = timeout(DEADLINE, run.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{}", printed.join("\n"));
    let expected = AUTHORIZATION.map(|(check, status)| ((check.to_owned(), status.to_owned()), 1));
    assert_eq!(verdicts(results.path()), Verdicts::from(expected));
}

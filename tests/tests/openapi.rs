//! What `/openapi.json` says of the OAuth surface is true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says why")]

use std::time::Duration;

use http::Method;
use portcullis_tests::binaries::tools;
use portcullis_tests::stack::Stack;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(150);
/// Whether clients may rely on the description. That whatever is not described is refused is no promise: unknown
/// parameters are ignored, as RFC 6749 section 3.1 asks.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method";

async fn description(origin: &str) -> Value {
    reqwest::get(format!("{origin}/openapi.json")).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn whatever_is_described_is_behind_the_edge() {
    let stack = Stack::builder().start().await;
    let description = description(&stack.origin()).await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut operations = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        let path = path.replace("{server_path}", "demo/mcp");
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = http.request(method, format!("{}{path}", stack.origin())).send().await.unwrap();
            let status = answer.status();
            // Of this one there is none before somebody has registered.
            assert!(status != 404 || path.starts_with("/provider-clients/"), "{path}");
            assert!(operation["responses"][status.as_str()].is_object(), "{path}: {status} is not described");
            operations += 1;
        }
    }
    assert!(operations >= 25, "only {operations} operations");
}

/// Schemathesis makes requests of every kind that the description allows, and of some that it does not. They go to the
/// control plane itself: the edge would slow down whoever registers so much.
#[tokio::test]
async fn no_request_gets_an_answer_that_is_not_described() {
    let stack = Stack::builder().configure(|config, _| {
        config["limits"] = json!({ "unused_clients": 1_000_000 });
    });
    let stack = stack.start().await;
    let url = format!("http://{}", stack.addresses().http);
    let origin = format!("x-portcullis-origin: {}", stack.origin());
    let description = format!("{url}/openapi.json");
    let mut run = Command::new(tools("bin/python"));
    run.args(["-m", "schemathesis.cli", "run", &description, "--url", &url, "--header", &origin]);
    run.args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"]);
    run.args(["--max-examples", "15", "--seed", "1", "--max-time", "35", "--generation-database", "none"]);
    run.args(["--no-color", "--warnings", "off"]).current_dir(stack.directory()).kill_on_drop(true);
    let output = timeout(DEADLINE, run.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
}

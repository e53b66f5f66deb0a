//! The real clients: the official one for Python, and Chromium. They are scripts beside this crate's sources
//! that print one line of JSON.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails, and says why")]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::binaries::{root, tools};

const DEADLINE: Duration = Duration::from_secs(90);

/// Runs `tests/python/SCRIPT` and returns what it prints.
pub async fn python(script: &str, arguments: &[&str]) -> Value {
    run(tools("bin/python"), &format!("tests/python/{script}"), arguments).await
}

/// Runs `tests/node/SCRIPT` and returns what it prints.
pub async fn node(script: &str, arguments: &[&str]) -> Value {
    run("node".into(), &format!("tests/node/{script}"), arguments).await
}

async fn run(interpreter: PathBuf, script: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(interpreter);
    command.arg(root().join(script)).args(arguments).kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await.expect("the script ends in time");
    let output = output.expect("the interpreter is installed: `make tools`");
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{printed}\n{errors}", output.status);
    serde_json::from_str(&printed).expect(&printed)
}

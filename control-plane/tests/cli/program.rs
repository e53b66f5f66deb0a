//! The program, run to its end.

use std::io::Write;
use std::process::{Command, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis-control-plane");

/// What a command came to.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end.
pub(crate) fn program(arguments: &[&str], stdin: &str) -> Output {
    let mut child = command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It may end without having read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let output =
        Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert_no_secret(&output.stdout);
    assert_no_secret(&output.stderr);
    output
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stderr(Stdio::piped());
    command.env_remove("RUST_LOG").env_remove("PORTCULLIS_CONTROL_PLANE");
    command
}

/// Errors may name the prefix of a token, never what follows it.
#[track_caller]
pub(crate) fn assert_no_secret(text: &str) {
    let token = |rest: &str| rest.starts_with(|first: char| first.is_ascii_alphanumeric());
    assert!(!text.contains("s3cr3t") && !text.split("pcl_at_").skip(1).any(token), "a secret is in {text}");
}

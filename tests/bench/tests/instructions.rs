//! The request path's price in instructions, which no other process on the machine changes.
//!
//! Counted by valgrind, in the build that the tests use: not what a release executes, but it grows where that grows.
//! `UPDATE=1 cargo test -p portcullis-bench --test instructions` accepts what is counted now.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should fail")]

use std::path::PathBuf;
use std::process::Command;

use portcullis_bench::instructions;
use portcullis_tests::binaries::workspace;

/// How much more or less than what was accepted is too much, in percent. Hash tables are seeded at random, so that no two
/// runs are quite alike.
const TOLERANCE: u64 = 3;
const TIMES: [u64; 2] = [200, 1_200];

#[test]
fn reading_a_question_costs_what_it_did() {
    judge("read");
}

#[test]
fn deciding_opening_and_answering_cost_what_they_did() {
    judge("answer");
}

fn judge(piece: &str) {
    // What it takes to start does not count.
    let [few, many] = TIMES.map(|times| count(piece, times));
    let counted = (many - few) / (TIMES[1] - TIMES[0]);
    instructions::judge(piece, counted, TOLERANCE);
}

fn count(piece: &str, times: u64) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let profile: PathBuf = directory.path().join("profile");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(workspace("hot-path").unwrap())
        .args([piece, &times.to_string()])
        .output()
        .expect("valgrind: `make tools` installs it");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    instructions::collected(&text)
}

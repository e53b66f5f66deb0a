//! The request path's price in instructions, which no other process on the machine changes.
//!
//! Counted by valgrind, in the build that the tests use: not what a release executes, but it grows where that grows.
//! `UPDATE=1 cargo test -p portcullis-bench --test instructions` accepts what is counted now.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should fail")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let [few, many] = TIMES.map(|times| instructions(piece, times));
    let counted = (many - few) / (TIMES[1] - TIMES[0]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions").join(piece);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{counted}\n")).unwrap();
    }
    let accepted: u64 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let (low, high) = (accepted * (100 - TOLERANCE) / 100, accepted * (100 + TOLERANCE) / 100);
    assert!(
        (low..=high).contains(&counted),
        "{piece}: {counted} instructions, where {accepted} were accepted. Where that is meant, accept it with UPDATE=1"
    );
}

fn instructions(piece: &str, times: u64) -> u64 {
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
    let line = text.lines().find_map(|line| line.split_once("Collected :")).expect("a count").1;
    line.trim().parse().unwrap()
}

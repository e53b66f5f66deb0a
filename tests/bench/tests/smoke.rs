//! That everything can be measured. How fast anything is here says nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

use std::fs;
use std::process::Command;

use portcullis_tests::binaries::workspace;

#[test]
fn everything_is_measured_and_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("BENCHMARKS.md");
    let output = Command::new(workspace("bench").unwrap())
        .args(["all", "--smoke", "--output"])
        .arg(&page)
        .env("TMPDIR", directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let page = fs::read_to_string(page).unwrap();
    for title in ["Goals", "One request", "Tokens", "Revocation", "Bad tokens"] {
        assert!(page.contains(&format!("\n## {title}\n")), "no {title}:\n{page}");
    }
    // A goal without a figure is one whose names have come to differ from those of what is measured.
    assert!(!page.contains("not measured") && !page.contains("Failed"), "{page}\n{said}");
}

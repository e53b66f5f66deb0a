//! What docs/SECURITY.md and docs/COMPATIBILITY.md say of tests is true: they name those that there are, and the former
//! all of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources fails, and says why")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use portcullis_control_plane::limit::Limit;
use portcullis_tests::binaries::root;

/// Names in a text, wherever `before` stands in front of them.
fn names(text: &str, before: &str) -> BTreeSet<String> {
    let rest = text.split(before).skip(1);
    rest.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect()
}

/// Names like `t06_two_parallel_redemptions`.
fn attack_tests(mut names: BTreeSet<String>) -> BTreeSet<String> {
    names.retain(|name| is_attack_test(name));
    names
}

fn is_attack_test(name: &str) -> bool {
    matches!(name.as_bytes(), [b't', tens, ones, b'_', ..] if tens.is_ascii_digit() && ones.is_ascii_digit())
}

fn in_sources(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(names(&fs::read_to_string(&path).unwrap(), "fn "));
        }
    }
}

/// Every function of the workspace.
fn functions() -> BTreeSet<String> {
    let mut written = BTreeSet::new();
    for part in ["proto", "control-plane", "authz", "envoy", "tests", "fuzz"] {
        for kind in ["src", "tests"].map(|kind| root().join(part).join(kind)) {
            if kind.is_dir() {
                in_sources(&kind, &mut written);
            }
        }
    }
    written
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_table_of_attacks_names_every_test_and_no_other() {
    let document = fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    let written = attack_tests(functions());
    let named = attack_tests(names(&document, "`"));
    let missing: Vec<_> = written.difference(&named).collect();
    let invented: Vec<_> = named.difference(&written).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not in the table: {missing:?}; no test: {invented:?}"
    );
}

/// Whoever sees a limit in a metric finds there what it is.
#[test]
fn the_table_of_limits_has_every_limit_of_the_metric_and_names_tests_that_there_are() {
    let document = fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    let (_, limits) = document.split_once("\n## Limits").unwrap();
    let (limits, _) = limits.split_once("\n## ").unwrap();
    let written = functions();
    let (mut named, mut tests) = (BTreeSet::new(), 0);
    for row in limits.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| limit |")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [what, _, _, _, metric, shown] = &cells[..] else { panic!("{row}") };
        let name = what.strip_prefix('`').and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
        assert_eq!(name.is_some(), metric.contains("limits_reached"), "{row}");
        named.extend(name);
        for test in quoted(shown) {
            assert!(written.contains(test), "no test: {test}");
            tests += 1;
        }
    }
    assert_eq!(named, Limit::ALL.map(Limit::name).into());
    assert!(tests > 30, "only {tests}");
}

/// In a row the cell before the last says where a requirement is built, the last which test shows it; a point that is
/// not built has neither.
#[test]
fn the_tables_of_compatibility_name_files_and_tests_that_there_are() {
    let document = fs::read_to_string(root().join("docs/COMPATIBILITY.md")).unwrap();
    let written = functions();
    let (_, requirements) = document.split_once("## MCP, revision by revision").unwrap();
    let rows = requirements.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |"));
    let mut tests = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [.., built, shown] = &cells[..] else { panic!("{row}") };
        assert_eq!(
            shown.is_empty(),
            built.starts_with("not built"),
            "built and not shown, or the reverse: {row}"
        );
        for name in quoted(shown) {
            assert!(written.contains(name), "no test: {name}");
            tests += 1;
        }
        for file in quoted(built).filter(|file| file.contains('/')) {
            assert!(root().join(file).is_file(), "no file: {file}");
        }
    }
    assert!(tests > 40, "only {tests}");
    for name in quoted(&document).filter(|name| name.matches('_').count() >= 3) {
        assert!(name.contains('/') || written.contains(name), "no test: {name}");
    }
}

//! What docs/SECURITY.md and docs/COMPATIBILITY.md say of tests is true: they name those that there are, and the former
//! all of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources fails, and says why")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use portcullis_control_plane::limit::Limit;
use portcullis_tests::binaries::root;

/// Names of functions in a text, each as often as it is there.
fn names(text: &str) -> impl Iterator<Item = String> {
    let rest = text.split("fn ").skip(1);
    rest.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

/// The numbers that a name like `t05_t16_a_redemption_that_is_not_the_codes_own` begins with.
fn attacks(name: &str) -> BTreeSet<u8> {
    name.split('_')
        .map_while(|part| part.strip_prefix('t')?.parse().ok().filter(|_| part.len() == 3))
        .collect()
}

fn in_sources(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(names(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Every function of the workspace, each as often as it is there.
fn functions() -> Vec<String> {
    let mut written = Vec::new();
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
fn the_table_of_attacks_names_every_test_in_its_rows_and_no_other() {
    let document = fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    let (_, table) = document.split_once("\n## Attack by attack").unwrap();
    let mut named = Vec::new();
    for row in table.lines() {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, tests] = &cells[..] else { continue };
        let Ok(number) = number.parse::<u8>() else { continue };
        named.extend(quoted(tests).map(|test| (number, test.to_owned())));
    }
    let mut written = Vec::new();
    for name in functions() {
        written.extend(attacks(&name).into_iter().map(|number| (number, name.clone())));
    }
    // By number and name: a test of two attacks is in two rows, and no two tests have one name.
    for (what, rows) in [("the table", &named), ("the sources", &written)] {
        let once: BTreeSet<_> = rows.iter().collect();
        let mut again = rows.clone();
        for one in once {
            again.remove(again.iter().position(|other| other == one).unwrap());
        }
        assert!(again.is_empty(), "twice in {what}: {again:?}");
    }
    let missing: Vec<_> = written.iter().filter(|row| !named.contains(row)).collect();
    let invented: Vec<_> = named.iter().filter(|row| !written.contains(row)).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not in the row of this number: {missing:?}; no such test: {invented:?}"
    );
    assert!(named.len() > 300, "only {}", named.len());
    // Elsewhere in the document there are names of tests too.
    let written: BTreeSet<_> = written.into_iter().map(|(_, name)| name).collect();
    for name in quoted(&document).filter(|name| !attacks(name).is_empty()) {
        assert!(written.contains(name), "no test: {name}");
    }
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
            assert!(written.iter().any(|name| name == test), "no test: {test}");
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
            assert!(written.iter().any(|other| other == name), "no test: {name}");
            tests += 1;
        }
        for file in quoted(built).filter(|file| file.contains('/')) {
            assert!(root().join(file).is_file(), "no file: {file}");
        }
    }
    assert!(tests > 40, "only {tests}");
    for name in quoted(&document).filter(|name| name.matches('_').count() >= 3) {
        assert!(name.contains('/') || written.iter().any(|other| other == name), "no test: {name}");
    }
}

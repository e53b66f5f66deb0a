//! What docs/SECURITY.md says of tests is true: it names those that there are, and all of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources fails, and says why")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use portcullis_tests::binaries::root;

/// Names like `t06_two_parallel_redemptions` in a text, wherever `before` stands in front of them.
fn attack_tests(text: &str, before: &str) -> BTreeSet<String> {
    let names = text
        .split(before)
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>());
    names.filter(|name| is_attack_test(name)).collect()
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
            found.extend(attack_tests(&fs::read_to_string(&path).unwrap(), "fn "));
        }
    }
}

#[test]
fn the_table_of_attacks_names_every_test_and_no_other() {
    let document = fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    let mut written = BTreeSet::new();
    for part in ["proto", "control-plane", "authz", "envoy", "tests"] {
        for kind in ["src", "tests"].map(|kind| root().join(part).join(kind)) {
            if kind.is_dir() {
                in_sources(&kind, &mut written);
            }
        }
    }
    let named = attack_tests(&document, "`");
    let missing: Vec<_> = written.difference(&named).collect();
    let invented: Vec<_> = named.difference(&written).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not in the table: {missing:?}; no test: {invented:?}"
    );
}

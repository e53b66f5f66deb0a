//! `check` and `envoy`.

use std::fs;

use portcullis_control_plane::edge;

use crate::home::Home;
use crate::program::program;
use crate::support::{self, CONFIG};

#[test]
fn check_accepts_a_good_file() {
    let home = Home::new();
    let output = program(&["check", "--config", home.file()], "");
    assert_eq!(output.stdout, format!("{}: good; servers: 2, providers: 1\n", home.file()));
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}

#[test]
fn check_names_everything_that_is_wrong() {
    let config = CONFIG
        .replace("kind: oidc", "kind: odic")
        .replace("docs/mcp", "")
        .replace("listen: { http:", "listen: { htpp:");
    let home = Home::with(&config);
    let output = program(&["check", "--config", home.file()], "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    for place in [":1: listen.htpp: ", ":5: providers.corp.kind: ", ":12: servers.docs.url: "] {
        assert!(output.stderr.contains(&format!("{}{place}", home.file())), "{place} in {}", output.stderr);
    }
    let missing = program(&["check", "--config", "/nowhere/portcullis.yaml"], "");
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/nowhere/portcullis.yaml: cannot be read"), "{}", missing.stderr);
}

#[test]
fn envoy_prints_or_writes_the_edge() {
    let home = Home::new();
    let expected = edge::render(&support::config(home.directory.path())).unwrap();
    let printed = program(&["envoy", "--config", home.file()], "");
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    assert!(printed.stdout == expected, "{}", printed.stdout);

    let target = home.directory.path().join("envoy.yaml");
    let written = program(&["envoy", "--config", home.file(), "--output", target.to_str().unwrap()], "");
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""));
    assert!(fs::read_to_string(&target).unwrap() == expected);

    let nowhere = program(&["envoy", "--config", home.file(), "--output", "/nowhere/envoy.yaml"], "");
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.contains("/nowhere/envoy.yaml: "), "{}", nowhere.stderr);
}

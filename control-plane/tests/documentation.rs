//! What the documentation and the sample files say about the configuration is true.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_control_plane::config::{Problems, load, parse};
use portcullis_control_plane::edge;

/// A section for everything that can be one, with a key in each that nobody knows. The reader then names the
/// keys that it does know, which are what the documentation must list.
const UNKNOWN_EVERYWHERE: &str = "
unknown-key: 1
listen: { unknown-key: 1 }
mesh: { unknown-key: 1, names: { unknown-key: 1 } }
store: { sled: { unknown-key: 1 } }
keys: { unknown-key: 1 }
edge: { unknown-key: 1, tls: { unknown-key: 1 }, mesh: { unknown-key: 1 } }
providers:
  one: { kind: oidc, unknown-key: 1, registration: { unknown-key: 1, dynamic: { unknown-key: 1 } } }
  two: { kind: oauth2, unknown-key: 1, userinfo: { unknown-key: 1 } }
  three: { kind: google, unknown-key: 1 }
  four: { kind: github, unknown-key: 1 }
  five: { kind: entra, unknown-key: 1, client_certificate: { unknown-key: 1 } }
  six: { kind: workos, unknown-key: 1 }
servers:
  demo: { unknown-key: 1, credential: { static: { unknown-key: 1 } }, assertion: { unknown-key: 1 }, allow: [{ unknown-key: 1 }] }
  tokens: { credential: { user_token: { unknown-key: 1 } } }
clients:
  unknown-key: 1
  registration: { unknown-key: 1 }
  metadata_documents: { unknown-key: 1, development: { unknown-key: 1 } }
  preregistered: { seven: { unknown-key: 1 } }
lifetimes: { unknown-key: 1 }
limits: { unknown-key: 1 }
";

/// The names in it.
const NAMES: [&str; 9] =
    [".one.", ".two.", ".three.", ".four.", ".five.", ".six.", ".seven.", ".demo.", ".tokens."];

/// Sections, whose own keys the documentation lists in their place.
const SECTIONS: [&str; 19] = [
    "listen",
    "store",
    "keys",
    "edge",
    "edge.tls",
    "edge.mesh",
    "mesh.names",
    "providers",
    "providers.NAME.client_certificate",
    "providers.NAME.registration.dynamic",
    "providers.NAME.userinfo",
    "servers",
    "clients",
    "clients.registration",
    "clients.metadata_documents",
    "clients.metadata_documents.development",
    "clients.preregistered",
    "lifetimes",
    "limits",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn secret(name: &str) -> Option<String> {
    ["_CLIENT_SECRET", "_REGISTRATION_TOKEN"]
        .iter()
        .any(|end| name.ends_with(end))
        .then(|| "secret".to_owned())
}

/// Every key that the reader knows, as the documentation writes it.
fn known_keys(problems: &Problems) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for problem in problems.iter() {
        let Some(known) = problem.text.strip_prefix("unknown key; known: ") else { continue };
        let section = problem.key.strip_suffix("unknown-key").unwrap();
        let section = section.replace("[0]", "");
        let section = NAMES.iter().fold(section, |section, name| section.replace(name, ".NAME."));
        keys.extend(known.split(", ").map(|key| format!("{section}{key}")));
    }
    keys.retain(|key| !SECTIONS.contains(&key.as_str()));
    keys
}

/// Every key in the tables between two headings.
fn documented_keys(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn the_documentation_lists_every_key_and_no_other() {
    let problems = parse(UNKNOWN_EVERYWHERE, Path::new("p"), &secret).unwrap_err();
    let documentation = read("docs/CONFIGURATION.md");
    let (portcullis, _) = documentation.split_once("\n## authz.yaml").unwrap();
    assert_eq!(documented_keys(portcullis), known_keys(&problems));
}

#[test]
fn the_documented_example_is_complete() {
    let documentation = read("docs/CONFIGURATION.md");
    let (_, example) = documentation.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    parse(example, Path::new("p"), &secret).unwrap();
}

/// The page's own command makes the files that its configuration names.
fn make_certificate(page: &str, directory: &Path) {
    let Some(command) = page.lines().find(|line| line.starts_with("openssl ")) else { return };
    let output = Command::new("sh").arg("-c").arg(command).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_configuration_for_a_provider_is_complete() {
    let mut pages = 0;
    for entry in std::fs::read_dir(repository().join("docs/providers")).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("README.md") {
            continue;
        }
        let page = std::fs::read_to_string(&path).unwrap();
        let directory = tempfile::tempdir().unwrap();
        make_certificate(&page, directory.path());
        let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
        let mut configurations = 0;
        for block in blocks {
            let read = parse(block, &directory.path().join("portcullis.yaml"), &secret);
            assert!(read.is_ok(), "{}: {}", path.display(), read.unwrap_err());
            configurations += 1;
        }
        assert!(configurations > 0, "{} has none", path.display());
        pages += 1;
    }
    assert_eq!(pages, 7);
}

/// Every name of a function below a directory.
fn functions(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names =
                text.split("fn ").skip(1).map(|rest| rest.split_once('(').map_or("", |(name, _)| name));
            found.extend(names.map(ToOwned::to_owned));
        }
    }
}

#[test]
fn the_tests_that_the_table_of_providers_names_exist_and_each_is_referred_to() {
    let page = read("docs/providers/README.md");
    let mut written = BTreeSet::new();
    for directory in ["control-plane/src", "tests/tests"] {
        functions(&repository().join(directory), &mut written);
    }
    // Names of tests are sentences.
    let named = page.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() > 2);
    let invented: Vec<_> = named.clone().filter(|name| !written.contains(*name)).collect();
    assert!(named.count() > 40 && invented.is_empty(), "no such tests: {invented:?}");

    let footnotes = page.lines().filter(|line| line.contains(". `"));
    let numbers: Vec<_> = footnotes.map(|line| line.split_once(". `").unwrap().0).collect();
    assert_eq!(numbers, (1..=numbers.len()).map(|number| number.to_string()).collect::<Vec<_>>());
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let refers = |number: &str| rows.iter().any(|row| row.contains(&format!("[{number}]")));
    assert!(numbers.iter().all(|number| refers(number)), "a test that no row refers to");
    assert!(!refers(&(numbers.len() + 1).to_string()) && rows.iter().all(|row| row.split('|').count() == 9));
}

#[test]
fn the_sample_for_compose_is_complete() {
    load(&repository().join("docs/compose/portcullis.yaml"), &secret).unwrap();
}

/// `UPDATE=1 cargo test -p portcullis-control-plane` writes it anew.
#[test]
fn the_example_for_envoy_is_what_the_example_renders_to() {
    let examples = repository().join("docs/examples");
    let config = load(&examples.join("portcullis.yaml"), &secret).unwrap();
    let rendered = edge::render(&config).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(examples.join("envoy.yaml"), &rendered).unwrap();
    }
    assert!(
        rendered == read("docs/examples/envoy.yaml"),
        "docs/examples/envoy.yaml is out of date: run UPDATE=1 cargo test -p portcullis-control-plane"
    );
}

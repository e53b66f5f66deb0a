use portcullis_proto::mesh::{Files, Names, Role};

use super::*;

const MINIMAL: &str = "control_plane: http://127.0.0.1:8081\nstore: data/authz\n";

fn read(text: &str) -> Result<Config, String> {
    parse(Path::new("authz.yaml"), text).map_err(|error| error.to_string())
}

#[test]
fn all_but_two_keys_have_defaults() {
    let config = read(MINIMAL).unwrap();
    assert_eq!(config.listen, "127.0.0.1:9191".parse().unwrap());
    assert_eq!(config.ops, "127.0.0.1:9192".parse().unwrap());
    assert_eq!(config.control_plane, "http://127.0.0.1:8081");
    assert_eq!(config.store, Path::new("data/authz"));
    assert_eq!(config.max_staleness, Duration::from_mins(1));
    assert_eq!(config.mesh, Settings::Loopback);
    assert!(config.instance.as_str().ends_with(":9191"));
    assert_eq!(config.max_records, 1_000_000);
}

#[test]
fn every_key_is_read() {
    let text = "listen: 0.0.0.0:1\nops: '[::1]:2'\ncontrol_plane: https://control:3\nstore: /s\n\
                max_staleness: 2min\ninstance: edge-1\nmax_records: 5\nthreads: 3\n\
                mesh:\n  ca: m/ca.pem\n  certificate: m/c.pem\n  private_key: m/k.pem\n  \
                names: { edge: e.test, authz: a.test, control_plane: c.test }\n";
    let names = [(Role::Edge, "e.test"), (Role::Authz, "a.test"), (Role::ControlPlane, "c.test")];
    let files = Files { ca: "m/ca.pem".into(), certificate: "m/c.pem".into(), private_key: "m/k.pem".into() };
    assert_eq!(
        read(text).unwrap(),
        Config {
            listen: "0.0.0.0:1".parse().unwrap(),
            ops: "[::1]:2".parse().unwrap(),
            control_plane: Uri::from_static("https://control:3"),
            mesh: Settings::Tls { files, names: Names::with(&names).unwrap() },
            store: "/s".into(),
            max_staleness: Duration::from_mins(2),
            instance: InstanceName::new("edge-1"),
            max_records: 5,
            threads: NonZeroUsize::new(3).unwrap(),
        }
    );
}

#[test]
fn an_error_names_the_key() {
    for (key, text) in [
        ("control_plane", "store: s".to_owned()),
        ("store", "control_plane: http://c:1".to_owned()),
        ("stoer", format!("{MINIMAL}stoer: x")),
        ("listen", format!("{MINIMAL}listen: nonsense")),
        ("max_records", format!("{MINIMAL}max_records: many")),
        ("threads", format!("{MINIMAL}threads: -1")),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.starts_with("authz.yaml: ") && error.contains(key), "{key}: {error}");
    }
}

#[test]
fn every_wrong_value_is_named_at_once() {
    let text = "listen: 0.0.0.0:1\ncontrol_plane: http://c\nstore: ''\nmax_staleness: 1s\ninstance: a b\nmax_records: 0\nthreads: 0\n";
    let error = read(text).unwrap_err();
    for key in [
        "listen: ",
        "control_plane: ",
        "store: ",
        "max_staleness: ",
        "instance: ",
        "max_records: ",
        "threads: ",
    ] {
        assert!(error.contains(key), "{key} is not in {error}");
    }
}

#[test]
fn only_loopback_is_plain_without_a_word() {
    let tls = "mesh: { ca: a, certificate: c, private_key: k }\n";
    let platform = "mesh: secured_by_platform\n";
    let listen = "authz.yaml: listen: without `mesh`, 0.0.0.0:9191 must be a loopback address";
    let remote = "authz.yaml: control_plane: without `mesh`, \"http://c:1\" must be on loopback";
    let https = "authz.yaml: control_plane: \"http://c:1\" must be https: `mesh` has certificates";
    let local = "authz.yaml: control_plane: \"http://localhost:1\" must be https: `mesh` has certificates";
    let plain = "authz.yaml: control_plane: \"https://c:1\" is https, which takes a certificate: see `mesh`";
    for (mesh, address, control_plane, said) in [
        ("", "127.0.0.1:9191", "http://localhost:1", "nothing"),
        ("", "'[::1]:9191'", "http://[::1]:1", "nothing"),
        ("", "0.0.0.0:9191", "http://127.0.0.1:1", listen),
        ("", "127.0.0.1:9191", "http://c:1", remote),
        ("", "127.0.0.1:9191", "https://c:1", plain),
        (platform, "0.0.0.0:9191", "http://c:1", "nothing"),
        (platform, "0.0.0.0:9191", "https://c:1", plain),
        (tls, "0.0.0.0:9191", "https://c:1", "nothing"),
        (tls, "127.0.0.1:9191", "http://localhost:1", local),
        (tls, "0.0.0.0:9191", "http://c:1", https),
    ] {
        let text = format!("store: s\nlisten: {address}\ncontrol_plane: {control_plane}\n{mesh}");
        let found = read(&text).map_or_else(|error| error, |_| "nothing".to_owned());
        assert_eq!(found, said, "{text}");
    }
}

#[test]
fn what_is_wrong_with_the_mesh_names_it() {
    let tls = |rest: &str| format!("mesh: {{ ca: a, certificate: c, private_key: k, {rest} }}");
    for (mesh, said) in [
        ("mesh: secured".to_owned(), "secured_by_platform"),
        ("mesh: 1".to_owned(), "secured_by_platform"),
        ("mesh: { ca: a }".to_owned(), "certificate"),
        (tls("key: k"), "key"),
        (tls("names: { admin: a.test }"), "admin"),
        (tls("names: { edge: '*.test' }"), "mesh.names.edge: must be a DNS name"),
        (tls("names: { edge: authz.portcullis.internal }"), "mesh.names: two roles cannot have one name"),
    ] {
        let error = read(&format!("{MINIMAL}{mesh}\n")).unwrap_err();
        assert!(error.starts_with("authz.yaml: ") && error.contains(said), "{mesh}: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Path::new("/does/not/exist.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("/does/not/exist.yaml: "), "{error}");
}

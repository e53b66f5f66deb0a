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
    assert!(config.instance.as_str().ends_with(":9191"));
    assert_eq!(config.max_records, 1_000_000);
}

#[test]
fn every_key_is_read() {
    let text = "listen: 0.0.0.0:1\nops: '[::1]:2'\ncontrol_plane: http://control:3\nstore: /s\n\
                max_staleness: 2min\ninstance: edge-1\nmax_records: 5\nthreads: 3\n";
    assert_eq!(
        read(text).unwrap(),
        Config {
            listen: "0.0.0.0:1".parse().unwrap(),
            ops: "[::1]:2".parse().unwrap(),
            control_plane: Uri::from_static("http://control:3"),
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
    let text =
        "control_plane: https://c\nstore: ''\nmax_staleness: 1s\ninstance: a b\nmax_records: 0\nthreads: 0\n";
    let error = read(text).unwrap_err();
    for key in ["control_plane: ", "store: ", "max_staleness: ", "instance: ", "max_records: ", "threads: "] {
        assert!(error.contains(key), "{key} is not in {error}");
    }
}

/// Beyond that, the control plane would not count this instance among those that may still decide.
#[test]
fn t20_an_instance_decides_for_an_hour_at_most_without_word_from_the_control_plane() {
    let read = |staleness: &str| read(&format!("{MINIMAL}max_staleness: {staleness}\n"));
    assert_eq!(read("1h").unwrap().max_staleness, MAX_STALENESS);
    for staleness in ["6h", "3601s", "1999ms"] {
        assert!(read(staleness).unwrap_err().contains("max_staleness: "), "{staleness}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Path::new("/does/not/exist.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("/does/not/exist.yaml: "), "{error}");
}

//! Keys: what operators do with them, who may read them, and what happens where they are gone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::home::Home;
use crate::program::program;
use crate::serve::Serve;
use crate::support::CONFIG;

const RING: &str = "master-keys.json";
const SIGNING: &str = "signing-keys.json";

#[track_caller]
fn refuses(home: &Home, part: &str) {
    let output = program(&["serve", "--config", home.file()], "");
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
}

fn starts(home: &Home) {
    assert!(Serve::start(home).stop().0.success());
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn with_assertions() -> String {
    CONFIG.replace(
        "    required_scopes: [email]\n",
        "    required_scopes: [email]\n    credential: assertion\n",
    )
}

#[test]
fn operators_list_rotate_and_forget() {
    let home = Home::new();
    home.log_in();
    let serve = Serve::start(&home);
    let rows = |serve: &Serve| -> Vec<Vec<String>> {
        let output = serve.ask(&["keys", "list"], "");
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let mut lines = output.stdout.lines();
        assert_eq!(lines.next(), Some("KEY\tSTATE\tMADE\tAGE\tROWS"));
        lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    };
    let [only] = &rows(&serve)[..] else { panic!("one key") };
    let old = only[0].clone();
    assert_eq!((only[1].as_str(), only[4].as_str()), ("current", "1"));
    assert!(only[2].starts_with("20") && only[3].ends_with('s'), "{only:?}");

    let rotated = serve.ask(&["keys", "rotate"], "");
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    let new = rotated.stdout.strip_suffix(" is the master key from now on\n").unwrap().to_owned();
    let is_done = |serve: &Serve| {
        let rows = rows(serve);
        let told: Vec<_> = rows.iter().map(|row| [&*row[0], &*row[1], &*row[4]]).collect();
        told == [[old.as_str(), "old", "0"], [&new, "current", "1"]]
    };
    while !is_done(&serve) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for (arguments, part) in [
        (["keys", "forget", new.as_str()], "is the current key: rotate first"),
        (["keys", "forget", old.as_str()], "until a short while ago"),
        (["keys", "forget", "nope"], "there is no master key \"nope\""),
    ] {
        let output = serve.ask(&arguments, "");
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
        assert!(output.stderr.contains(part), "{}", output.stderr);
    }
    let signing = serve.ask(&["keys", "rotate", "--signing"], "");
    assert_eq!(signing.code, Some(1));
    assert!(signing.stderr.contains("no server gets assertions"), "{}", signing.stderr);
    serve.stop();

    // The next process has both, and what hangs on them.
    let serve = Serve::start(&home);
    assert!(is_done(&serve));
    serve.stop();
    // A key whose time is over, in the ring of a process that was away for long.
    let ring = fs::read_to_string(home.keys().join(RING)).unwrap();
    let long_ago = retired_long_ago(&ring, &old);
    fs::write(home.keys().join(RING), long_ago).unwrap();
    let serve = Serve::start(&home);
    assert_eq!(serve.ask(&["keys", "forget", &old], "").stdout, format!("{old} is forgotten\n"));
    assert_eq!(rows(&serve).len(), 1);
    serve.stop();
    starts(&home);
}

/// The ring with this key retired in 1970.
fn retired_long_ago(ring: &str, id: &str) -> String {
    let mut ring: serde_json::Value = serde_json::from_str(ring).unwrap();
    ring["retired"][id] = 0.into();
    ring.to_string()
}

#[test]
fn t34_serve_does_not_start_with_a_ring_that_is_broken_or_another_stores() {
    let home = Home::new();
    home.log_in();
    let ring = home.keys().join(RING);
    let good = fs::read(&ring).unwrap();
    let length = good.len();
    for broken in [&good[..0], &good[..length / 2], &good[..length - 3]] {
        fs::write(&ring, broken).unwrap();
        refuses(&home, "master-keys.json: not a master key ring");
        assert_eq!(fs::read(&ring).unwrap(), broken, "it is left as it is");
    }
    // A good ring, but not this store's; as where a ring from before a rotation was restored.
    let other = Home::new();
    other.log_in();
    fs::copy(other.keys().join(RING), &ring).unwrap();
    refuses(&home, "under which 1 rows of the store are sealed: restore the ring that belongs to this store");
    fs::remove_file(&ring).unwrap();
    refuses(&home, "there is no master key ring: restore it from a backup");
    assert_eq!(fs::read_dir(home.keys()).unwrap().count(), 0, "no new keys are made");
    fs::write(&ring, good).unwrap();
    set_mode(&ring, 0o600);
    starts(&home);
}

#[test]
fn t34_keys_whose_store_is_gone_begin_a_new_one() {
    let home = Home::new();
    home.log_in();
    let ring = fs::read(home.keys().join(RING)).unwrap();
    fs::remove_dir_all(home.store_directory()).unwrap();
    starts(&home);
    assert_eq!(fs::read(home.keys().join(RING)).unwrap(), ring, "the ring stays");
}

#[test]
fn t34_serve_does_not_start_without_the_signing_keys_that_there_were() {
    let home = Home::with(&with_assertions());
    starts(&home);
    let signing = home.keys().join(SIGNING);
    let before = fs::read(&signing).unwrap();
    fs::remove_file(&signing).unwrap();
    refuses(&home, "signing-keys.json: it is not there, but there were signing keys");
    assert!(!signing.exists());
    assert!(Serve::start_with(&home, &["--new-signing-keys"]).stop().0.success());
    assert_ne!(fs::read(&signing).unwrap(), before);
    starts(&home);
    // Truncated: not even that makes new ones over it.
    fs::write(&signing, &before[..before.len() / 2]).unwrap();
    let output = program(&["serve", "--config", home.file(), "--new-signing-keys"], "");
    assert!(output.stderr.contains("signing-keys.json: not a signing key ring"), "{}", output.stderr);
}

#[test]
fn t18_serve_does_not_start_with_keys_that_others_can_read() {
    let home = Home::with(&with_assertions());
    starts(&home);
    let keys = home.keys();
    for (path, bad, good) in
        [(keys.clone(), 0o755, 0o700), (keys.join(RING), 0o644, 0o600), (keys.join(SIGNING), 0o640, 0o600)]
    {
        set_mode(&path, bad);
        let name = path.file_name().unwrap().to_str().unwrap();
        refuses(&home, &format!("{name}: others than the service's user can "));
        set_mode(&path, good);
    }
    starts(&home);
}

#[test]
fn t18_whatever_serve_creates_is_for_its_user_alone_whatever_the_umask_is() {
    let home = Home::with(&with_assertions());
    Serve::start_after("umask 000", &home).stop();
    let mut found = Vec::new();
    for directory in [home.keys(), home.store_directory()] {
        assert_closed(&directory, &mut found);
    }
    for name in [RING, SIGNING, "db", "conf"] {
        assert!(found.iter().any(|path| path.ends_with(name)), "{name} is not in {found:?}");
    }
}

#[test]
fn t18_a_store_from_before_is_closed_to_others() {
    let home = Home::new();
    starts(&home);
    let store = home.store_directory();
    for name in ["db", "conf"] {
        set_mode(&store.join(name), 0o644);
    }
    starts(&home);
    assert_eq!((mode(&store.join("db")), mode(&store.join("conf"))), (0o600, 0o600));
}

fn assert_closed(path: &Path, found: &mut Vec<String>) {
    assert_eq!(mode(path) & 0o077, 0, "{}", path.display());
    found.push(path.display().to_string());
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_closed(&entry.unwrap().path(), found);
        }
    }
}

#[test]
fn t18_a_process_that_holds_secrets_leaves_no_core_dump() {
    let home = Home::new();
    let serve = Serve::start_after("ulimit -S -c \"$(ulimit -H -c)\"", &home);
    let limits = fs::read_to_string(format!("/proc/{}/limits", serve.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    serve.stop();
}

#[test]
fn t18_help_does_not_show_what_is_in_the_environment() {
    for command in [&["grants", "list"][..], &["keys", "rotate"], &["tokens", "revoke"]] {
        let mut help = crate::program::command(&[command, &["--help"]].concat());
        let output = help.env("PORTCULLIS_CONTROL_PLANE", "http://user:s3cr3t@127.0.0.1:1").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("PORTCULLIS_CONTROL_PLANE") && !text.contains("s3cr3t"), "{text}");
    }
}

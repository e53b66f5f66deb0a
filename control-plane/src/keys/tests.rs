use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use portcullis_proto::ids::GrantId;
use portcullis_proto::random::SystemRandom;
use tempfile::TempDir;

use super::file::NAME as FILE;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A directory that nobody else can enter.
fn closed() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
}

fn open(directory: &Path) -> Result<MasterKeys, KeysError> {
    MasterKeys::open(directory, &SystemRandom, NOW)
}

#[test]
fn a_ring_is_made_once_and_read_again() {
    let directory = closed();
    let keys = directory.path().join("keys");
    assert!(!MasterKeys::exist(&keys));
    let first = open(&keys).unwrap();
    assert!(MasterKeys::exist(&keys));
    let (grant, data_key) = (GrantId::new("g"), SealingKey::generate(&SystemRandom));
    let (id, sealed) = first.wrap(&SystemRandom, &grant, &data_key);
    let again = open(&keys).unwrap();
    assert_eq!(again.unwrap_key(&id, &grant, &sealed).unwrap().expose(), data_key.expose());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&keys), mode(&keys.join(FILE))), (0o700, 0o600));
}

#[test]
fn t18_a_broken_ring_is_refused_without_showing_it() {
    let directory = closed();
    for text in [
        "",
        "{",
        r#"{"current":"a","keys":{}}"#,
        r#"{"current":"a","keys":{"a":"aHVzaA=="}}"#,
        r#"{"current":"a","keys":"hush"}"#,
        r#"{"current":"a","keys":{},"revision":"aHVzaA=="}"#,
    ] {
        let path = directory.path().join(FILE);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let error = open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("not a master key ring"), "{error}");
        assert!(!error.contains("aHVzaA") && !error.contains("hush"), "{error}");
    }
}

#[test]
fn t10_a_form_token_is_for_one_browser_and_one_request() {
    let directory = closed();
    let key = open(directory.path()).unwrap().form_key();
    let token = key.sign("browser", "request");
    assert!(key.verify("browser", "request", &token));
    assert!(!key.verify("another", "request", &token));
    assert!(!key.verify("browser", "another", &token));
    assert!(!key.verify("browser", "request", "AAAA"));
    assert!(!key.verify("browser", "request", ""));
}

#[test]
fn ways_have_numbers_that_only_the_ring_gives() {
    let (one, two) = (closed(), closed());
    let key = |directory: &Path| open(directory).unwrap().revision_key();
    let number = key(one.path()).number(&[b"ab", b"cd"]);
    assert_eq!(key(one.path()).number(&[b"ab", b"cd"]), number);
    for parts in [[&b"ab"[..], b"c"], [b"abc", b"d"], [b"cd", b"ab"]] {
        assert_ne!(key(one.path()).number(&parts), number);
    }
    assert_ne!(key(two.path()).number(&[b"ab", b"cd"]), number);
}

#[test]
fn a_new_key_seals_and_the_old_one_opens_also_in_the_next_process() {
    let directory = closed();
    let keys = open(directory.path()).unwrap();
    let (grant, data_key) = (GrantId::new("g"), SealingKey::generate(&SystemRandom));
    let (old, sealed) = keys.wrap(&SystemRandom, &grant, &data_key);
    let later = NOW.after(MasterKeys::STAYS);
    let new = keys.rotate(&SystemRandom, later).unwrap();
    assert_ne!(new, old);
    for keys in [&keys, &open(directory.path()).unwrap()] {
        assert_eq!(keys.current(), new);
        assert_eq!(keys.wrap(&SystemRandom, &grant, &data_key).0, new);
        assert_eq!(keys.unwrap_key(&old, &grant, &sealed).unwrap().expose(), data_key.expose());
        let wrapped = Wrapped { master_key: old.clone(), sealed: sealed.clone() };
        let again = keys.rewrap(&SystemRandom, &grant, GrantId::DATA_KEY, &wrapped).unwrap();
        assert_eq!(again.master_key, new);
        assert_eq!(keys.unwrap_key(&new, &grant, &again.sealed).unwrap().expose(), data_key.expose());
        let told = keys.list();
        assert_eq!((told[0].made, told[0].retired, told[1].made), (Some(NOW), Some(later), Some(later)));
    }
    keys.forget(&old, later.after(MasterKeys::STAYS)).unwrap();
    assert!(!keys.has(&old) && !open(directory.path()).unwrap().has(&old));
    assert!(keys.unwrap_key(&old, &grant, &sealed).is_err());
}

#[test]
fn t31_a_ring_that_cannot_be_written_stays_as_it_is() {
    let directory = closed();
    let keys = open(directory.path()).unwrap();
    let old = keys.current();
    // In the place where the new file is written.
    fs::create_dir(directory.path().join(format!("{FILE}.new"))).unwrap();
    assert!(matches!(keys.rotate(&SystemRandom, NOW), Err(ChangeError::Keys(KeysError::Io { .. }))));
    assert_eq!((keys.current(), keys.list().len()), (old.clone(), 1));
    assert_eq!(open(directory.path()).unwrap().current(), old);
}

#[test]
fn a_ring_from_before_rotation_is_read_and_keeps_its_numbers() {
    let directory = closed();
    let path = directory.path().join(FILE);
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    fs::write(&path, format!(r#"{{"current":"a","keys":{{"a":"{key}"}}}}"#)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let keys = open(directory.path()).unwrap();
    assert_eq!(keys.list(), [RingKey { id: "a".into(), current: true, made: None, retired: None }]);
    // By the derivation that there was before.
    let derived =
        SealingKey::derive(b"01234567890123456789012345678901", b"portcullis credential revision key v1");
    let number = RevisionKey::new(&derived).number(&[b"way"]);
    assert_eq!(keys.revision_key().number(&[b"way"]), number);
    keys.rotate(&SystemRandom, NOW).unwrap();
    keys.forget("a", NOW.after(MasterKeys::STAYS)).unwrap();
    for keys in [keys, open(directory.path()).unwrap()] {
        assert_eq!(keys.revision_key().number(&[b"way"]), number, "no credential is outdated by a rotation");
    }
}

#[test]
fn t10_a_form_that_was_shown_before_a_rotation_counts_until_the_key_is_forgotten() {
    let directory = closed();
    let keys = open(directory.path()).unwrap();
    let (form, old) = (keys.form_key(), keys.current());
    let before = form.sign("browser", "request");
    keys.rotate(&SystemRandom, NOW).unwrap();
    let after = form.sign("browser", "request");
    assert_ne!(before, after);
    assert!(form.verify("browser", "request", &before) && form.verify("browser", "request", &after));
    assert!(!form.verify("another", "request", &before) && !form.verify("browser", "another", &after));
    keys.forget(&old, NOW.after(MasterKeys::STAYS)).unwrap();
    assert!(!form.verify("browser", "request", &before) && form.verify("browser", "request", &after));
}

#[test]
fn t18_a_ring_that_others_can_read_is_refused() {
    let home = closed();
    let directory = home.path().join("keys");
    open(&directory).unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let file = directory.join(FILE);
    for (path, bad, good, part) in [
        (
            &file,
            0o640,
            0o600,
            "master-keys.json: others than the service's user can read these keys (mode 0640)",
        ),
        (&file, 0o604, 0o400, "(mode 0604): chmod 0600"),
        (&directory, 0o755, 0o700, "keys: others than the service's user can enter this directory"),
    ] {
        set(path, bad);
        let error = open(&directory).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        set(path, good);
        open(&directory).unwrap();
    }
}

#[test]
fn a_second_change_waits_and_loses_nothing() {
    let directory = closed();
    let keys = open(directory.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| keys.rotate(&SystemRandom, NOW).unwrap());
        }
        scope.spawn(|| keys.note_signing_keys().unwrap());
    });
    for keys in [&keys, &open(directory.path()).unwrap()] {
        assert_eq!((keys.list().len(), keys.has_signing_keys()), (5, true));
    }
}

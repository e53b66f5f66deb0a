use std::os::unix::fs::PermissionsExt;

use portcullis_proto::ids::GrantId;
use portcullis_proto::random::SystemRandom;

use super::*;

#[test]
fn a_ring_is_made_once_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    assert!(!MasterKeys::exist(&keys));
    let first = MasterKeys::open(&keys, &SystemRandom).unwrap();
    assert!(MasterKeys::exist(&keys));
    let (grant, data_key) = (GrantId::new("g"), SealingKey::generate(&SystemRandom));
    let (id, sealed) = first.wrap(&SystemRandom, &grant, &data_key);
    let again = MasterKeys::open(&keys, &SystemRandom).unwrap();
    assert_eq!(again.unwrap_key(&id, &grant, &sealed).unwrap().expose(), data_key.expose());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&keys), mode(&keys.join(FILE))), (0o700, 0o600));
}

#[test]
fn t18_a_broken_ring_is_refused_without_showing_it() {
    let directory = tempfile::tempdir().unwrap();
    for text in [
        "",
        "{",
        r#"{"current":"a","keys":{}}"#,
        r#"{"current":"a","keys":{"a":"aHVzaA=="}}"#,
        r#"{"current":"a","keys":"hush"}"#,
    ] {
        fs::write(directory.path().join(FILE), text).unwrap();
        let error = MasterKeys::open(directory.path(), &SystemRandom).unwrap_err().to_string();
        assert!(error.contains("not a master key ring"), "{error}");
        assert!(!error.contains("aHVzaA") && !error.contains("hush"), "{error}");
    }
}

#[test]
fn t10_a_form_token_is_for_one_browser_and_one_request() {
    let directory = tempfile::tempdir().unwrap();
    let key = MasterKeys::open(directory.path(), &SystemRandom).unwrap().form_key();
    let token = key.sign("browser", "request");
    assert!(key.verify("browser", "request", &token));
    assert!(!key.verify("another", "request", &token));
    assert!(!key.verify("browser", "another", &token));
    assert!(!key.verify("browser", "request", "AAAA"));
    assert!(!key.verify("browser", "request", ""));
}

#[test]
fn ways_have_numbers_that_only_the_ring_gives() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = |directory: &Path| MasterKeys::open(directory, &SystemRandom).unwrap().revision_key();
    let number = key(one.path()).number(&[b"ab", b"cd"]);
    assert_eq!(key(one.path()).number(&[b"ab", b"cd"]), number);
    for parts in [[&b"ab"[..], b"c"], [b"abc", b"d"], [b"cd", b"ab"]] {
        assert_ne!(key(one.path()).number(&parts), number);
    }
    assert_ne!(key(two.path()).number(&[b"ab", b"cd"]), number);
}

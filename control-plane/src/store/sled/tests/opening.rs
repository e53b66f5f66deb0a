//! Which directories open, and which do not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portcullis_proto::random::SystemRandom;

use super::{SledStore, fresh, open};
use crate::store::Store;
use crate::store::sled::OpenError;
use crate::store::sled::keys::{Key, Meta};

fn try_open(path: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(path, &SystemRandom)
}

#[test]
fn a_new_directory_is_the_owners_alone() {
    let (home, _store) = fresh();
    let mode = fs::metadata(home.path().join("store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn every_new_store_has_a_log_of_its_own() {
    let ((_a, a), (_b, b)) = (fresh(), fresh());
    assert_ne!(a.head().borrow().epoch, b.head().borrow().epoch);
}

#[test]
fn a_store_in_use_does_not_open() {
    let (home, _store) = fresh();
    assert!(matches!(try_open(&home.path().join("store")), Err(OpenError::InUse { .. })));
}

#[test]
fn a_store_opens_as_soon_as_the_other_lets_go() {
    let (home, store) = fresh();
    let path = home.path().join("store");
    let opener = std::thread::spawn(move || try_open(&path));
    drop(store);
    assert!(opener.join().unwrap().is_ok());
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(try_open(home.path()), Err(OpenError::Foreign { .. })));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn a_foreign_database_is_left_alone() {
    for (key, value) in
        [("anything", "at all"), ("mformat", "no JSON"), ("mformat", r#"{"store":"other","format":1}"#)]
    {
        let home = tempfile::tempdir().unwrap();
        foreign(home.path(), key.as_bytes(), value);
        assert!(matches!(try_open(home.path()), Err(OpenError::Foreign { .. })), "{key}");
    }
}

#[test]
fn another_format_is_named() {
    let home = tempfile::tempdir().unwrap();
    let format = r#"{"store":"portcullis-control-plane","format":2}"#;
    foreign(home.path(), Key::meta(Meta::Format).as_ref(), format);
    let error = try_open(home.path()).unwrap_err();
    assert!(matches!(error, OpenError::Format { found: 2, .. }));
    assert!(error.to_string().ends_with("the store has format 2, this program knows format 1"));
}

/// A database of our segment size with one row.
fn foreign(path: &Path, key: &[u8], value: &str) {
    let db = ::sled::Config::new().path(path).segment_size(8 * 1024 * 1024).open().unwrap();
    db.insert(key, value).unwrap();
    db.flush().unwrap();
}

#[test]
fn a_creation_that_was_cut_off_is_completed() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("blobs")).unwrap();
    assert!(try_open(home.path()).is_ok());
}

#[test]
fn a_snapshot_that_was_cut_off_is_removed() {
    let (home, store) = fresh();
    let path = home.path().join("store");
    let epoch = store.head().borrow().epoch;
    drop(store);
    let snapshot = path.join("snap.00000000DEADBEEF.generating");
    fs::write(&snapshot, "half a snap").unwrap();
    let store = open(&path);
    assert!(!snapshot.exists());
    assert_eq!(store.head().borrow().epoch, epoch);
}

//! A store that was there, and is not what it was.

use std::fs;
use std::path::Path;

use portcullis_proto::random::SystemRandom;

use super::{SledStore, fresh, open};
use crate::store::Store;
use crate::store::sled::OpenError;
use crate::store::sled::keys::{Key, Meta};
use crate::store::sled::open::SEGMENT;

/// What sled makes of it is an empty database, unless it is kept from that.
const EMPTYING: [fn(&Path); 6] = [
    |store| fs::write(store.join("db"), b"not a database").unwrap(),
    |store| fs::write(store.join("db"), b"").unwrap(),
    |store| fs::remove_file(store.join("db")).unwrap(),
    |store| fs::remove_file(store.join("conf")).unwrap(),
    |store| {
        let mut bytes = fs::read(store.join("db")).unwrap();
        bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
        fs::write(store.join("db"), bytes).unwrap();
    },
    // All is gone, but for the mark.
    |store| {
        for file in ["db", "conf"] {
            fs::remove_file(store.join(file)).unwrap();
        }
        fs::remove_dir(store.join("blobs")).unwrap();
    },
];

/// What only sled finds out about.
const OTHERS: [fn(&Path); 6] = [
    |store| {
        fs::remove_file(store.join("db")).unwrap();
        fs::create_dir(store.join("db")).unwrap();
    },
    // Behind the head of the first segment.
    |store| {
        let mut bytes = fs::read(store.join("db")).unwrap();
        bytes[20..].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(store.join("db"), bytes).unwrap();
    },
    // The same segment twice makes sled panic.
    |store| {
        let mut bytes = fs::read(store.join("db")).unwrap();
        let first = bytes.clone();
        bytes.resize(SEGMENT, 0);
        fs::write(store.join("db"), [bytes, first].concat()).unwrap();
    },
    |store| change(store, |db| drop(db.insert(Key::meta(Meta::Format), "another"))),
    |store| change(store, |db| drop(db.insert(Key::meta(Meta::Head), "nonsense"))),
    |store| change(store, |db| db.clear().unwrap()),
];

fn change(store: &Path, by: impl FnOnce(&::sled::Db)) {
    let db = ::sled::Config::new().path(store).segment_size(SEGMENT).open().unwrap();
    by(&db);
    db.flush().unwrap();
}

/// All files with what is in them.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        files.push((entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    }
    files.sort();
    files
}

#[track_caller]
fn refused(path: &Path, damage: &str) -> OpenError {
    let error = SledStore::open(path, &SystemRandom).map(drop).expect_err(damage);
    assert!(error.to_string().starts_with(path.to_str().unwrap()), "{damage}: {error}");
    error
}

#[test]
fn t34_a_store_that_was_emptied_is_left_as_it_is_and_not_begun_anew() {
    for (number, damage) in EMPTYING.into_iter().enumerate() {
        let (home, store) = fresh();
        let path = home.path().join("store");
        drop(store);
        damage(&path);
        let before = files(&path);
        for _ in 0..2 {
            let error = refused(&path, &format!("damage {number}"));
            assert!(matches!(error, OpenError::Damaged { .. }), "damage {number}: {error}");
            assert_eq!(files(&path), before, "damage {number}");
        }
    }
}

#[test]
fn t34_a_damaged_store_is_refused_again_and_again() {
    for (number, damage) in OTHERS.into_iter().chain(EMPTYING).enumerate() {
        // With and without a snapshot of sled's, which it makes when it opens.
        for opened in [1, 2] {
            let (home, store) = fresh();
            let path = home.path().join("store");
            drop(store);
            for _ in 1..opened {
                drop(open(&path));
            }
            damage(&path);
            for _ in 0..2 {
                refused(&path, &format!("damage {number}, opened {opened} times"));
            }
        }
    }
}

#[test]
fn a_store_from_before_there_was_a_mark_gets_one() {
    let (home, store) = fresh();
    let path = home.path().join("store");
    let epoch = store.head().borrow().epoch;
    drop(store);
    fs::remove_file(path.join("created")).unwrap();
    assert_eq!(open(&path).head().borrow().epoch, epoch);
    fs::write(path.join("db"), b"").unwrap();
    refused(&path, "emptied");
}

#[test]
fn a_creation_that_was_cut_off_before_there_was_anything_in_it_is_completed() {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        change(home.path(), |_| {});
    }
    drop(open(home.path()));
    drop(open(home.path()));
}

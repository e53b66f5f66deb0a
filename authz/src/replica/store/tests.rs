use std::fs;
use std::path::Path;

use portcullis_proto::ids::{ClientId, Epoch};
use portcullis_proto::random::SystemRandom;
use tempfile::TempDir;

use super::*;
use crate::testing::record;

const NOW: Timestamp = Timestamp::from_millis(10_000);

fn open(path: &Path) -> (Store, Loaded) {
    Store::open(path, 1000).unwrap()
}

fn generation() -> Generation {
    Generation::generate(&SystemRandom)
}

fn entry(sequence: u64, forget_at: u64) -> Entry {
    Entry {
        sequence: Sequence(sequence),
        at: Timestamp::from_millis(0),
        forget_at: Timestamp::from_millis(forget_at),
        scope: Scope::Client(ClientId::new(sequence.to_string())),
    }
}

fn start() -> Position {
    Position::start(Epoch([4; 16]))
}

fn numbered(number: u64, expires_at: u64) -> TokenRecord {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    TokenRecord {
        token: TokenId::from_slice(&id).unwrap(),
        expires_at: Timestamp::from_millis(expires_at),
        ..record()
    }
}

/// Waits until everything before is written.
async fn settle(store: &Store) {
    store.sweep(generation(), Sweep::Entries, Timestamp::default(), None).await.unwrap();
}

async fn sweep(store: &Store, what: Sweep, cutoff: Timestamp) -> Vec<Scope> {
    let (generation, _) = store.durable().borrow().unwrap();
    let (mut after, mut forgotten) = (None, Vec::new());
    loop {
        let swept = store.sweep(generation, what, cutoff, after).await.unwrap();
        forgotten.extend(swept.forgotten);
        after = swept.next;
        if after.is_none() {
            return forgotten;
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let (store, loaded) = open(directory.path());
    assert!(loaded.position.is_none() && loaded.entries.is_empty());
    let generation = generation();
    let entries = [entry(1, 100), entry(2, 200)];
    let position = start().after(&entries[0]).unwrap().after(&entries[1]).unwrap();
    store.place().await.unwrap().append(generation, &entries, position);
    store.put(generation, record());
    let mut durable = store.durable();
    durable.wait_for(|durable| *durable == Some((generation, Sequence(2)))).await.unwrap();
    store.close().await;
    drop(store);

    let (store, loaded) = open(directory.path());
    assert_eq!(loaded.position, Some((generation, position)));
    assert_eq!(loaded.entries, entries);
    assert_eq!(*store.durable().borrow(), Some((generation, Sequence(2))));
    assert_eq!(store.get(&record().token).unwrap(), Some((generation, record())));
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn entries_of_another_generation_are_gone() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let (old, new) = (generation(), generation());
    store.place().await.unwrap().append(old, &[entry(1, 100)], start().after(&entry(1, 100)).unwrap());
    store.place().await.unwrap().append(new, &[], start());
    store.close().await;
    drop(store);
    let (store, loaded) = open(directory.path());
    assert_eq!(loaded.position, Some((new, start())));
    assert!(loaded.entries.is_empty());
    // What is gone is not reported as forgotten: nothing of it is in memory.
    assert!(sweep(&store, Sweep::Entries, NOW).await.is_empty());
}

#[tokio::test]
async fn t34_a_second_process_is_refused() {
    let directory = TempDir::new().unwrap();
    let (_store, _) = open(directory.path());
    let error = Store::open(directory.path(), 1000).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
}

#[tokio::test]
async fn t34_a_damaged_store_starts_over() {
    let database =
        |path: &Path| sled::Config::new().path(path).segment_size(super::open::SEGMENT).open().unwrap();
    let damages: [&dyn Fn(&Path); 6] = [
        &|sled: &Path| fs::write(sled.join("db"), b"not a database").unwrap(),
        &|sled: &Path| {
            fs::remove_file(sled.join("db")).unwrap();
            fs::create_dir(sled.join("db")).unwrap();
        },
        &|sled: &Path| {
            let mut bytes = fs::read(sled.join("db")).unwrap();
            bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
            fs::write(sled.join("db"), bytes).unwrap();
        },
        &|sled: &Path| {
            let db = database(sled);
            db.insert(layout::FORMAT_KEY, b"another").unwrap();
            db.flush().unwrap();
        },
        &|sled: &Path| {
            let db = database(sled);
            db.open_tree("log").unwrap().insert(layout::POSITION_KEY, b"nonsense").unwrap();
            db.flush().unwrap();
        },
        // With other settings, which sled does not open.
        &|sled: &Path| {
            fs::remove_dir_all(sled).unwrap();
            sled::open(sled).unwrap().flush().unwrap();
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let directory = TempDir::new().unwrap();
        let (store, _) = open(directory.path());
        store.place().await.unwrap().append(generation(), &[], start());
        store.close().await;
        drop(store);
        damage(&directory.path().join("sled"));

        let (store, loaded) = open(directory.path());
        assert!(loaded.position.is_none() && store.is_empty(), "damage {number}");
        store.place().await.unwrap().append(generation(), &[], start());
        store.close().await;
        drop(store);
        assert!(open(directory.path()).1.position.is_some());
    }
}

#[tokio::test]
async fn a_half_written_snapshot_does_not_matter() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let generation = generation();
    store.place().await.unwrap().append(generation, &[], start());
    store.close().await;
    drop(store);
    let snapshot = directory.path().join("sled/snap.00000000000000FF.generating");
    fs::write(&snapshot, b"half").unwrap();
    let (_store, loaded) = open(directory.path());
    assert_eq!(loaded.position, Some((generation, start())));
    assert!(!snapshot.exists());
}

#[tokio::test]
async fn a_directory_that_holds_other_files_keeps_them() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("precious"), b"data").unwrap();
    fs::create_dir(directory.path().join("sled")).unwrap();
    fs::write(directory.path().join("sled/db"), b"not a database").unwrap();
    drop(open(directory.path()));
    assert_eq!(fs::read(directory.path().join("precious")).unwrap(), b"data");
}

#[tokio::test]
async fn sweeping_removes_what_is_dead_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let (old, new) = (generation(), generation());
    let dead = 10_000;
    for number in 0..100 {
        store.put(new, numbered(number, dead));
        store.put(new, numbered(1000 + number, dead + 1));
        store.put(old, numbered(2000 + number, dead + 1));
    }
    let entries: Vec<_> = (1..=4).map(|sequence| entry(sequence, dead + sequence - 2)).collect();
    let position = entries.iter().try_fold(start(), Position::after).unwrap();
    store.place().await.unwrap().append(new, &entries, position);
    settle(&store).await;
    assert_eq!(store.len(), 300);

    sweep(&store, Sweep::Records, NOW).await;
    assert_eq!(store.len(), 100);
    assert!(store.get(&numbered(1050, 0).token).unwrap().is_some());
    let forgotten = sweep(&store, Sweep::Entries, NOW).await;
    assert_eq!(forgotten, [entries[0].scope.clone(), entries[1].scope.clone()]);
    store.close().await;
    drop(store);
    let (store, loaded) = open(directory.path());
    assert_eq!((store.len(), loaded.entries.as_slice()), (100, &entries[2..]));
}

/// Each of the first 2000 numbers' records: as the index has it, and as sled has it.
fn both(store: &Store) -> [Vec<Option<sled::IVec>>; 2] {
    let ids: Vec<_> = (0..2000).map(|number| numbered(number, 0).token).collect();
    let indexed = ids.iter().map(|id| store.index.get(id)).collect();
    let stored = ids.iter().map(|id| store.records.get(id.as_bytes()).unwrap()).collect();
    [indexed, stored]
}

#[tokio::test]
async fn the_index_has_what_sled_has() {
    let directory = TempDir::new().unwrap();
    let (store, _) = Store::open(directory.path(), 1500).unwrap();
    let (generation, dead) = (generation(), 10_000);
    store.place().await.unwrap().append(generation, &[], start());
    for number in 0..1500 {
        store.put(generation, numbered(number, dead + number % 2));
    }
    settle(&store).await;
    for number in 0..100 {
        store.put(generation, numbered(number, dead + 1)); // another one in its place
        store.put(generation, numbered(1500 + number, dead + 1)); // there is no room for these
    }
    settle(&store).await;
    let [indexed, stored] = both(&store);
    assert_eq!(stored.iter().flatten().count(), 1500);
    assert_eq!(indexed, stored);
    sweep(&store, Sweep::Records, NOW).await;
    let [indexed, stored] = both(&store);
    assert_eq!(stored.iter().flatten().count(), 800);
    assert_eq!(indexed, stored);
    store.close().await;
    drop(store);

    let (store, _) = Store::open(directory.path(), 1500).unwrap();
    assert_eq!(both(&store)[0].iter().flatten().count(), 0);
    assert!(store.get(&numbered(1, 0).token).unwrap().is_some());
    store.put(generation, numbered(1, dead + 7));
    store.put(Generation::generate(&SystemRandom), numbered(1999, dead + 7)); // not of this life
    settle(&store).await;
    assert!(both(&store)[0][1999].is_some());
    sweep(&store, Sweep::Records, NOW).await;
    let [indexed, stored] = both(&store);
    assert_eq!(stored.iter().flatten().count(), 800);
    assert_eq!(indexed, stored);
}

#[tokio::test]
async fn what_the_index_has_is_not_looked_for_in_sled() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let generation = generation();
    store.put(generation, record());
    settle(&store).await;
    store.records.clear().unwrap();
    assert_eq!(store.get(&record().token).unwrap(), Some((generation, record())));
}

#[tokio::test]
async fn a_sweep_of_another_generation_removes_nothing() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let (old, new) = (generation(), generation());
    store.place().await.unwrap().append(new, &[entry(1, 1)], start().after(&entry(1, 1)).unwrap());
    store.put(new, numbered(1, 1));
    for what in [Sweep::Records, Sweep::Entries] {
        let swept = store.sweep(old, what, NOW, None).await.unwrap();
        assert!(swept.next.is_none() && swept.forgotten.is_empty());
    }
    assert_eq!(store.len(), 1);
    store.close().await;
    drop(store);
    assert_eq!(open(directory.path()).1.entries, [entry(1, 1)]);
}

#[tokio::test]
async fn a_sweep_takes_bounded_steps() {
    let directory = TempDir::new().unwrap();
    let (store, _) = Store::open(directory.path(), 10_000).unwrap();
    let generation = generation();
    store.place().await.unwrap().append(generation, &[], start());
    for number in 0..2500 {
        store.put(generation, numbered(number, 1));
    }
    settle(&store).await;
    let first = store.sweep(generation, Sweep::Records, NOW, None).await.unwrap();
    assert_eq!(store.len(), 1500);
    let second = store.sweep(generation, Sweep::Records, NOW, first.next).await.unwrap();
    assert_eq!(store.len(), 500);
    let third = store.sweep(generation, Sweep::Records, NOW, second.next).await.unwrap();
    assert_eq!((store.len(), third.next), (0, None));
}

#[tokio::test]
async fn a_full_store_refuses_new_records_until_there_is_room() {
    let directory = TempDir::new().unwrap();
    let (store, _) = Store::open(directory.path(), 2).unwrap();
    let generation = generation();
    store.place().await.unwrap().append(generation, &[], start());
    store.put(generation, numbered(1, 1));
    store.put(generation, numbered(2, 99_999));
    settle(&store).await;
    store.put(generation, numbered(3, 99_999));
    store.put(generation, TokenRecord { email: None, ..numbered(2, 99_999) });
    settle(&store).await;
    store.full().await; // says so
    assert!(store.get(&numbered(3, 0).token).unwrap().is_none());
    let (_, replaced) = store.get(&numbered(2, 0).token).unwrap().unwrap();
    assert_eq!(replaced.email, None);

    sweep(&store, Sweep::Records, NOW).await;
    store.put(generation, numbered(3, 99_999));
    settle(&store).await;
    assert!(store.get(&numbered(3, 0).token).unwrap().is_some());
    assert_eq!(store.len(), 2);
    store.close().await;
    drop(store);
    assert_eq!(Store::open(directory.path(), 2).unwrap().0.len(), 2);
}

//! What is answered is durable, what cannot be made durable is not answered.

use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Waker};
use std::time::Duration;

use portcullis_proto::ids::ClientId;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::revocation::Scope;

use super::{SledStore, fresh, open};
use crate::oauth::pending::StateId;
use crate::store::contract::fixtures::{
    MANY, access_id, at, begin, client, granted, is_accepted, is_live, parallel, pending, redeemed, register,
};
use crate::store::sled::rows::backend;
use crate::store::sled::tx::MAX_ROW;
use crate::store::{Begun, Registered, Store, StoreError};

/// Long enough for anything that happens at all.
const DEADLINE: Duration = Duration::from_secs(30);

/// A disk that says when it is asked, and waits to be told what to do.
struct Disk {
    asked: Receiver<()>,
    /// `false` makes it fail. Without a sender it works by itself.
    works: Sender<bool>,
}

fn open_with_disk(path: &Path) -> (SledStore, Disk) {
    let (ask, asked) = channel();
    let (works, told) = channel();
    let store = SledStore::open_with(path, &SystemRandom, |mut make_durable| {
        Box::new(move || {
            let _ = ask.send(());
            match told.recv() {
                Ok(false) => Err(backend("the disk has failed")),
                Ok(true) | Err(_) => make_durable(),
            }
        })
    });
    (store.unwrap(), Disk { asked, works })
}

/// Lets a call go as far as it comes, and tells whether it is waiting.
fn is_pending<F: Future + Send + ?Sized>(call: &mut Pin<Box<F>>) -> bool {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn t31_whoever_finds_something_revoked_can_wait_until_it_stays_so() {
    let (home, store) = fresh();
    redeemed(&store, "g", at(0)).await;
    drop(store);
    let (store, disk) = open_with_disk(&home.path().join("store"));
    let mut revoke = store.revoke(Scope::Token(access_id("g")), at(1));
    assert!(is_pending(&mut revoke));
    disk.asked.recv_timeout(DEADLINE).unwrap();
    assert!(!is_accepted(&store, "g", at(1)).await, "readers see it before it is durable");
    let mut settled = store.settled();
    assert!(is_pending(&mut settled) && is_pending(&mut revoke));
    disk.works.send(true).unwrap();
    revoke.await.unwrap();
    settled.await.unwrap();
}

#[tokio::test]
async fn a_store_comes_back_as_it_was() {
    let (home, store) = fresh();
    register(&store, "unused").await;
    begin(&store, "state", "browser").await;
    granted(&store, "waiting", at(0)).await;
    redeemed(&store, "g", at(0)).await;
    redeemed(&store, "dead", at(0)).await;
    store.revoke(Scope::Token(access_id("nobody's")), at(1)).await.unwrap();
    let entry = store.revoke(Scope::Client(ClientId::new("dead")), at(1)).await.unwrap();
    let head = *store.head().borrow();
    let everything = async |store: &SledStore| {
        let base = store.base().await.unwrap();
        let entries = store.entries_after(&base, MANY).await.unwrap().unwrap();
        (store.clients(None, MANY).await.unwrap(), store.grants(None, MANY).await.unwrap(), base, entries)
    };
    let before = everything(&store).await;
    drop(store);
    let store = open(&home.path().join("store"));
    assert_eq!(everything(&store).await, before);
    assert_eq!(before.3.last(), Some(&entry));
    assert_eq!(*store.head().borrow(), head);
    assert!(is_accepted(&store, "g", at(1)).await && !is_accepted(&store, "dead", at(1)).await);
    // Counted anew: one unused client, one login.
    for (quota, registered, begun) in
        [(1, Registered::InPlaceOf(1), Begun::Full), (2, Registered::Done, Begun::Done)]
    {
        let another = client(&format!("another-{quota}"));
        assert_eq!(store.register(another, quota).await.unwrap(), registered);
        assert_eq!(store.begin(StateId::of("another"), pending("browser"), quota).await.unwrap(), begun);
    }
}

#[tokio::test]
async fn nothing_is_answered_or_published_before_it_is_durable_and_many_share_a_flush() {
    let home = tempfile::tempdir().unwrap();
    let (store, Disk { asked, works }) = open_with_disk(&home.path().join("store"));
    let start = *store.head().borrow();
    let revoke = |number| store.revoke(Scope::Client(ClientId::new(format!("c{number}"))), at(1));
    let mut first = revoke(0);
    assert!(is_pending(&mut first));
    asked.recv_timeout(DEADLINE).unwrap();
    // The entry is in the tree by now, but not on the disk.
    assert!(is_pending(&mut first));
    assert_eq!(*store.head().borrow(), start);
    assert_eq!(store.entries_after(&start, MANY).await.unwrap(), Some(vec![]));
    // No more than tokio lets a task do before it has to yield.
    let mut others: Vec<_> = (1..=50).map(revoke).collect();
    assert!(others.iter_mut().all(is_pending));
    works.send(true).unwrap();
    assert_eq!(first.await.unwrap().sequence.0, 1);
    assert_eq!(store.head().borrow().sequence.0, 1);
    asked.recv_timeout(DEADLINE).unwrap();
    drop(works);
    for other in others {
        other.await.unwrap();
    }
    assert!(asked.try_recv().is_err(), "50 revocations share one flush");
    assert_eq!(store.head().borrow().sequence.0, 51);
}

#[tokio::test]
async fn after_a_failure_the_store_says_nothing_more() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let (store, disk) = open_with_disk(&path);
    disk.works.send(true).unwrap();
    register(&store, "kept").await;
    disk.works.send(false).unwrap();
    let failed = store.revoke(Scope::Everything, at(1)).await;
    assert!(matches!(failed, Err(StoreError::Closed)), "{failed:?}");
    assert_eq!(store.head().borrow().sequence.0, 0);
    // Not even what is in memory: what the disk has nobody knows.
    let id = ClientId::new("kept");
    assert!(matches!(store.client(&id, at(0)).await, Err(StoreError::Closed)));
    assert!(matches!(store.base().await, Err(StoreError::Closed)));
    assert!(matches!(store.register(client("late"), MANY).await, Err(StoreError::Closed)));
    drop(store);
    let store = open(&path);
    assert!(store.client(&id, at(0)).await.unwrap().is_some());
    assert!(store.client(&ClientId::new("late"), at(0)).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_accepted_is_done_before_the_store_is_dropped() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let (store, disk) = open_with_disk(&path);
    {
        let mut calls: Vec<_> =
            (0..50).map(|number| store.register(client(&format!("c{number}")), MANY)).collect();
        assert!(calls.iter_mut().all(is_pending));
        // Nobody waits for them any more.
    }
    drop(disk);
    drop(store);
    assert_eq!(open(&path).clients(None, MANY).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_row_that_is_too_long_is_refused_and_nothing_else_suffers() {
    let (_home, store) = fresh();
    let mut long = client("long");
    long.name = Some("x".repeat(MAX_ROW));
    assert!(matches!(store.register(long, MANY).await, Err(StoreError::Backend(_))));
    assert!(store.clients(None, MANY).await.unwrap().is_empty());
    assert_eq!(store.register(client("short"), 1).await.unwrap(), Registered::Done);
}

/// sled puts long pages into files of their own and does not sync these; ours must never get so long.
#[tokio::test]
async fn rows_of_the_greatest_length_stay_in_the_file_that_is_synced() {
    let (home, store) = fresh();
    parallel(200, async |number| {
        let mut long = client(&format!("c{number}"));
        long.name = Some("x".repeat(MAX_ROW - 2_000));
        assert_eq!(store.register(long, MANY).await.unwrap(), Registered::Done);
    })
    .await;
    drop(store);
    assert_eq!(std::fs::read_dir(home.path().join("store/blobs")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_operation_sees_those_before_it_in_the_same_group() {
    let home = tempfile::tempdir().unwrap();
    let (store, disk) = open_with_disk(&home.path().join("store"));
    for _ in 0..4 {
        disk.works.send(true).unwrap();
    }
    redeemed(&store, "g", at(0)).await;
    let mut blocker = store.revoke(Scope::Token(access_id("nobody's")), at(1));
    assert!(is_pending(&mut blocker));
    drop(disk);
    let outcomes =
        parallel(8, async |number| store.register(client(&format!("c{number}")), 3).await.unwrap()).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Registered::Done).count(), 3);
    assert!(is_live(&store, "g").await);
}

//! The revocation log.

use portcullis_proto::ids::{ClientId, Epoch, GrantId, Sequence};
use portcullis_proto::revocation::{Entry, Position, Scope};

use super::fixtures::{ACCESS, MANY, at, parallel, redeemed, token_id};
use crate::store::Store;

fn scope(number: usize) -> Scope {
    Scope::Client(ClientId::new(format!("client-{number}")))
}

pub(crate) async fn it_starts_empty(store: &dyn Store) {
    let head = *store.head().borrow();
    assert_eq!(head, Position::start(head.epoch));
    assert_eq!(store.base().await.unwrap(), head);
    assert_eq!(store.entries_after(&head, MANY).await.unwrap(), Some(vec![]));
}

pub(crate) async fn every_revocation_appends(store: &dyn Store) {
    let start = *store.head().borrow();
    for number in 1..=3 {
        let entry = store.revoke(scope(0), at(number)).await.unwrap();
        assert_eq!((entry.sequence, entry.at, &entry.scope), (Sequence(number), at(number), &scope(0)));
    }
    let entries = store.entries_after(&start, MANY).await.unwrap().unwrap();
    assert_eq!(entries.len(), 3);
}

pub(crate) async fn work_that_begins_makes_the_log_its_own(store: &dyn Store) {
    let head = *store.head().borrow();
    let (one, another) = (token_id("mark"), token_id("another mark"));
    let entry = store.begin_work(one, at(5), at(ACCESS)).await.unwrap();
    assert_eq!((entry.sequence, entry.at, &entry.scope), (Sequence(1), at(5), &Scope::Token(one)));
    let in_a_copy = Entry { scope: Scope::Token(another), ..entry.clone() };
    assert_ne!(head.after(&entry), head.after(&in_a_copy));
    assert_eq!(*store.head().borrow(), head.after(&entry).unwrap());
    // Tokens that only the original knows are hit by what is revoked from now on.
    let entry = store.revoke(scope(0), at(6)).await.unwrap();
    assert_eq!(entry.forget_at, at(ACCESS));
}

pub(crate) async fn it_can_be_followed_from_any_position(store: &dyn Store) {
    let start = *store.head().borrow();
    let mut entries = Vec::new();
    for number in 0..5 {
        entries.push(store.revoke(scope(number), at(1)).await.unwrap());
    }
    let mut position = start;
    for done in 0..=entries.len() {
        let after = async |limit| store.entries_after(&position, limit).await.unwrap();
        assert_eq!(after(MANY).await.as_deref(), Some(&entries[done..]));
        assert_eq!(after(2).await.as_deref(), Some(&entries[done..entries.len().min(done + 2)]));
        if let Some(next) = entries.get(done) {
            position = position.after(next).unwrap();
        }
    }
    assert_eq!(position, *store.head().borrow());
}

pub(crate) async fn a_foreign_position_is_refused(store: &dyn Store) {
    let start = *store.head().borrow();
    for number in 0..3 {
        store.revoke(scope(number), at(1)).await.unwrap();
    }
    let head = *store.head().borrow();
    let foreign = Epoch([0xff; 16]);
    let ahead = Position { sequence: head.sequence.next(), ..head };
    let behind = Position { sequence: Sequence(2), ..head };
    for position in [
        Position { epoch: foreign, ..head },
        Position { epoch: foreign, ..start },
        Position { digest: [1; 32], ..head },
        Position { digest: [1; 32], ..start },
        ahead,
        behind,
    ] {
        assert_eq!(store.entries_after(&position, MANY).await.unwrap(), None, "{position:?}");
    }
}

pub(crate) async fn an_entry_outlives_every_access_token(store: &dyn Store) {
    let revoke = async |now| store.revoke(Scope::Grant(GrantId::new("g")), at(now)).await.unwrap().forget_at;
    assert_eq!(revoke(5).await, at(5));
    redeemed(store, "late", at(10)).await;
    redeemed(store, "early", at(1)).await;
    assert_eq!(revoke(20).await, at(10 + ACCESS));
    assert_eq!(revoke(10 + ACCESS).await, at(10 + ACCESS));
    assert_eq!(revoke(11 + ACCESS).await, at(11 + ACCESS));
}

pub(crate) async fn the_head_moves_only_to_what_can_be_read(store: &dyn Store) {
    let start = *store.head().borrow();
    let mut watched = store.head();
    let follow = async {
        let mut position = start;
        while position.sequence < Sequence(64) {
            watched.changed().await.unwrap();
            let head = *watched.borrow_and_update();
            let entries = store.entries_after(&position, MANY).await.unwrap().unwrap();
            position = entries.iter().fold(position, |position, entry| position.after(entry).unwrap());
            assert!(head.sequence <= position.sequence);
        }
        position
    };
    let revoke = parallel(64, async |number| {
        let entry = store.revoke(scope(number), at(1)).await.unwrap();
        // Whoever has an answer finds the head there, or beyond.
        assert!(store.head().borrow().sequence >= entry.sequence);
    });
    let (followed, _) = tokio::join!(follow, revoke);
    assert_eq!(followed, *store.head().borrow());
}

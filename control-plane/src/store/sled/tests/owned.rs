//! The rows that say what belongs to whom come and go with what they lead to.

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, ServerName, Subject};
use portcullis_proto::revocation::Scope;

use super::{SledStore, fresh, open};
use crate::oauth::enrolment::EnrolmentId;
use crate::oauth::session::{MOST_OF_A_USER, SessionId};
use crate::store::contract::fixtures::{
    ACCESS, MANY, REFRESH, UNUSED, access_id, at, begin, client, enrol, enrolled, enrolment, is_live,
    redeemed, register, rotated, session,
};
use crate::store::sled::keys::{Key, Meta, Table};
use crate::store::sled::rows;
use crate::store::{Begun, Registered, Store, UserStore};

fn count(store: &SledStore, table: Table) -> usize {
    rows::scan(&store.db, &Key::first(table), &Key::end(table)).count()
}

#[tokio::test]
async fn nothing_is_left_of_what_has_expired_or_was_revoked() {
    let (_home, store) = fresh();
    for name in ["expires", "narrow", "wide"] {
        enrolled(&store, name, at(0)).await;
    }
    rotated(&store, "expires", "2", "expires", at(0)).await;
    assert_eq!((count(&store, Table::GrantOf), count(&store, Table::AccessOf)), (3, 4));
    store.revoke(Scope::Token(access_id("2")), at(1)).await.unwrap();
    assert_eq!(count(&store, Table::AccessOf), 3);
    store.revoke(Scope::Grant(GrantId::new("narrow")), at(1)).await.unwrap();
    assert_eq!(count(&store, Table::GrantOf), 2);
    store.revoke(Scope::Client(ClientId::new("wide")), at(1)).await.unwrap();
    store.sweep(at(1), MANY).await.unwrap();
    assert_eq!(count(&store, Table::GrantOf), 1);
    store.sweep(at(ACCESS), MANY).await.unwrap();
    assert_eq!(count(&store, Table::AccessOf), 0);
    store.sweep(at(REFRESH), MANY).await.unwrap();
    assert_eq!(count(&store, Table::GrantOf), 0);
}

#[tokio::test]
async fn grants_and_access_tokens_from_before_there_were_tables_of_them_are_entered() {
    let (home, store) = fresh();
    redeemed(&store, "g", at(0)).await;
    let (provider, subject) = (ProviderName::new("provider"), Subject::new("g"));
    let servers = [ServerName::new("server-g")];
    store.db.remove(Key::grant_of(&provider, &subject, &GrantId::new("g"))).unwrap();
    store.db.remove(Key::access_of(&GrantId::new("g"), &access_id("g"))).unwrap();
    store.db.remove(Key::meta(Meta::GrantsOfUsers)).unwrap();
    assert!(store.grants_of(&provider, &subject, &servers, MANY).await.unwrap().is_empty());
    drop(store);
    let store = open(&home.path().join("store"));
    assert_eq!(store.grants_of(&provider, &subject, &servers, MANY).await.unwrap().len(), 1);
    assert_eq!(count(&store, Table::AccessOf), 1);
    assert!(is_live(&store, "g").await);
}

#[tokio::test]
async fn what_waits_is_counted_anew_at_every_start() {
    let (home, store) = fresh();
    enrol(&store, "e", "e").await;
    store.open_session(SessionId::of("s"), session("s", at(0)), 1).await.unwrap();
    drop(store);
    let store = open(&home.path().join("store"));
    let enrolled = store.enrol(EnrolmentId::of("f"), enrolment("f", "e", at(0)), 1).await.unwrap();
    assert_eq!(enrolled, Some(Begun::Full));
    let opened = store.open_session(SessionId::of("t"), session("s", at(0)), 1).await.unwrap();
    assert_eq!(opened, Some(Begun::Full));
}

#[tokio::test]
async fn whose_everything_is_and_who_makes_room_is_noted_anew_at_every_start() {
    let (home, store) = fresh();
    for name in ["idle", "busy"] {
        register(&store, name).await;
    }
    enrol(&store, "e", "busy").await;
    for number in 0..MOST_OF_A_USER {
        let id = SessionId::of(&number.to_string());
        store.open_session(id, session("s", at(0)), MANY).await.unwrap();
    }
    let noted = |store: &SledStore| (count(store, Table::HeldBy), count(store, Table::Unused));
    assert_eq!(noted(&store), (1 + MOST_OF_A_USER, 1));
    // As a version leaves it that does not know of these tables: nothing is noted, or what is not there any more.
    for table in [Table::HeldBy, Table::Unused] {
        for row in rows::scan(&store.db, &Key::first(table), &Key::end(table)) {
            store.db.remove(row.unwrap().0).unwrap();
        }
    }
    store.db.insert(Key::unused(at(1), &ClientId::new("gone")), &[]).unwrap();
    drop(store);
    let store = open(&home.path().join("store"));
    assert_eq!(noted(&store), (1 + MOST_OF_A_USER, 1));
    let opened = store.open_session(SessionId::of("more"), session("s", at(0)), MANY).await.unwrap();
    assert_eq!(opened, Some(Begun::TooMany));
    assert_eq!(store.register(client("new"), 2).await.unwrap(), Registered::InPlaceOf(1));
    assert!(store.client(&ClientId::new("busy"), at(0)).await.unwrap().is_some());
}

#[tokio::test]
async fn nothing_is_noted_of_what_is_over() {
    let (_home, store) = fresh();
    enrol(&store, "e", "e").await;
    begin(&store, "state", "browser").await;
    store.open_session(SessionId::of("s"), session("s", at(0)), MANY).await.unwrap();
    store.sweep(at(UNUSED), MANY).await.unwrap();
    for table in [Table::HeldBy, Table::Unused, Table::Busy, Table::Client] {
        assert_eq!(count(&store, table), 0, "{table:?}");
    }
}

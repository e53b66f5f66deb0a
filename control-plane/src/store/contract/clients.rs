//! Registration.

use portcullis_proto::ids::ClientId;

use super::fixtures::{self, MANY, UNUSED, at, client, granted, register};
use crate::store::{Registered, Store};

pub(crate) async fn a_client_is_kept(store: &dyn Store) {
    register(store, "c").await;
    assert_eq!(store.client(&ClientId::new("c"), at(0)).await.unwrap(), Some(client("c")));
    assert_eq!(store.client(&ClientId::new("other"), at(0)).await.unwrap(), None);
}

pub(crate) async fn a_client_is_forgotten_unless_used(store: &dyn Store) {
    register(store, "unused").await;
    granted(store, "used", at(0)).await;
    let known = async |name, now| store.client(&ClientId::new(name), now).await.unwrap().is_some();
    assert!(known("unused", at(UNUSED - 1)).await);
    assert!(!known("unused", at(UNUSED)).await);
    assert!(known("used", at(UNUSED)).await);
}

pub(crate) async fn the_quota_counts_unused_clients(store: &dyn Store) {
    granted(store, "used", at(0)).await;
    assert_eq!(store.register(client("a"), 2).await.unwrap(), Registered::Done);
    assert_eq!(store.register(client("b"), 2).await.unwrap(), Registered::Done);
    assert_eq!(store.register(client("c"), 2).await.unwrap(), Registered::Full);
    assert_eq!(store.client(&ClientId::new("c"), at(0)).await.unwrap(), None);
    // Somebody logs in with one of them, so there is room for one more; logging in again makes no more.
    for name in ["g1", "g2"] {
        let grant = fixtures::grant(name, "a", at(0));
        let code = fixtures::code(&grant);
        store.grant(grant, fixtures::token_id(name), code).await.unwrap();
    }
    assert_eq!(store.register(client("c"), 2).await.unwrap(), Registered::Done);
    assert_eq!(store.register(client("d"), 2).await.unwrap(), Registered::Full);
}

pub(crate) async fn clients_are_listed_in_order(store: &dyn Store) {
    for name in ["b", "a", "ab", "c"] {
        register(store, name).await;
    }
    let list = async |after: Option<&str>, limit| {
        let after = after.map(ClientId::new);
        let clients = store.clients(after.as_ref(), limit).await.unwrap();
        clients.into_iter().map(|client| client.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, MANY).await, ["a", "ab", "b", "c"]);
    assert_eq!(list(None, 2).await, ["a", "ab"]);
    assert_eq!(list(Some("ab"), 1).await, ["b"]);
    assert_eq!(list(Some("aa"), MANY).await, ["ab", "b", "c"]);
    assert!(list(Some("c"), MANY).await.is_empty());
}

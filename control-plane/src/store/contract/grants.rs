//! Grants and what the provider gave for them.

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, Subject};
use portcullis_proto::revocation::Scope;

use super::fixtures::{MANY, UNUSED, at, code, grant, granted, register, token_id};
use crate::store::{Granted, Store};

pub(crate) async fn a_grant_needs_its_client(store: &dyn Store) {
    register(store, "c").await;
    let keep = async |client, now| {
        let grant = grant("g", client, now);
        let code = code(&grant);
        store.grant(grant, token_id("code"), code).await.unwrap()
    };
    assert_eq!(keep("unknown", at(1)).await, Granted::Gone);
    assert_eq!(keep("c", at(UNUSED)).await, Granted::Gone);
    assert_eq!(store.live_grant(&GrantId::new("g")).await.unwrap(), None);
    assert_eq!(store.code(&token_id("code")).await.unwrap(), None);
    assert_eq!(keep("c", at(UNUSED - 1)).await, Granted::Done);
}

pub(crate) async fn a_grant_marks_its_client_as_used(store: &dyn Store) {
    granted(store, "c", at(0)).await;
    let client = store.client(&ClientId::new("c"), at(UNUSED * 10)).await.unwrap().unwrap();
    assert_eq!(client.unused_until, None);
}

pub(crate) async fn a_grant_comes_with_its_code(store: &dyn Store) {
    register(store, "c").await;
    store.revoke(Scope::Everything, at(0)).await.unwrap();
    let grant = grant("g", "c", at(0));
    let code = code(&grant);
    store.grant(grant.clone(), token_id("code"), code.clone()).await.unwrap();
    assert_eq!(store.code(&token_id("code")).await.unwrap(), Some(code));
    let kept = store.live_grant(&grant.id).await.unwrap().unwrap();
    assert_eq!(kept.born, Sequence(1));
    assert_eq!(kept, crate::oauth::grant::Grant { born: Sequence(1), ..grant });
}

pub(crate) async fn live_grants_are_listed_in_order(store: &dyn Store) {
    for name in ["b", "a", "d", "c", "e"] {
        granted(store, name, at(0)).await;
    }
    store.revoke(Scope::Grant(GrantId::new("b")), at(1)).await.unwrap();
    store.revoke(Scope::Client(ClientId::new("d")), at(1)).await.unwrap();
    let list = async |after: Option<&str>, limit| {
        let after = after.map(GrantId::new);
        let grants = store.grants(after.as_ref(), limit).await.unwrap();
        grants.into_iter().map(|grant| grant.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, MANY).await, ["a", "c", "e"]);
    assert_eq!(list(None, 2).await, ["a", "c"]);
    assert_eq!(list(Some("a"), 2).await, ["c", "e"]);
    assert!(list(Some("e"), 2).await.is_empty());
}

pub(crate) async fn t20_what_is_revoked_before_it_is_kept_is_not_kept(store: &dyn Store) {
    register(store, "c").await;
    let keep = async |born| {
        let grant = crate::oauth::grant::Grant { born: Sequence(born), ..grant("g", "c", at(1)) };
        let code = code(&grant);
        store.grant(grant, token_id("code"), code).await.unwrap()
    };
    let subject = Scope::Subject(ProviderName::new("provider"), Subject::new("c"));
    store.revoke(subject, at(1)).await.unwrap();
    assert_eq!(keep(0).await, Granted::Gone);
    assert_eq!(store.live_grant(&GrantId::new("g")).await.unwrap(), None);
    assert_eq!(store.code(&token_id("code")).await.unwrap(), None);
    assert_eq!(keep(1).await, Granted::Done);
}

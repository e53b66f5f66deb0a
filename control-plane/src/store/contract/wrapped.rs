//! What is sealed under which master key.

use portcullis_proto::ids::{ClientId, GrantId};
use portcullis_proto::revocation::Scope;
use portcullis_proto::seal::Sealed;

use super::fixtures::{
    MANY, at, enrol, enrolled, finish, grant, granted, holder, issue, provider_client, register, rotated,
    slot, token_id, upstream, user_token,
};
use crate::keys::Wrapped;
use crate::oauth::enrolment::EnrolmentId;
use crate::oauth::pending::BrowserId;
use crate::oauth::provider_client::{KeptAuth, ProviderClient, ProviderClientId};
use crate::store::lease::Leasing;
use crate::store::{Enrolled, Occupied, Redeemed, Store, WrappedRow};

fn wrapped(key: &str, byte: u8) -> Wrapped {
    Wrapped { master_key: key.into(), sealed: Sealed::from_bytes(vec![byte; 60]) }
}

fn grant_row(name: &str) -> WrappedRow {
    WrappedRow::Grant(GrantId::new(name))
}

/// What a row has now.
async fn of(store: &dyn Store, row: &WrappedRow) -> Option<Wrapped> {
    let all = store.wrapped(None, MANY).await.unwrap();
    all.into_iter().find_map(|(found, wrapped)| (found == *row).then_some(wrapped))
}

async fn keep(store: &dyn Store, client: &ProviderClient) {
    let kept = store.keep_provider_client(client.clone(), MANY, at(0)).await.unwrap();
    assert_eq!(kept, Occupied::Done);
}

/// One of each kind; and one provider client that has no secret.
async fn one_of_each(store: &dyn Store) -> [WrappedRow; 5] {
    enrolled(store, "a", at(0)).await;
    enrol(store, "b", "b").await;
    register(store, "c").await;
    keep(store, &provider_client("basic", &slot("c"))).await;
    let secretless = ProviderClient { auth: KeptAuth::None, ..provider_client("none", &slot("a")) };
    keep(store, &secretless).await;
    let post = ProviderClient { auth: KeptAuth::SecretPost(wrapped("key-1", 3)), ..secretless };
    keep(store, &ProviderClient { id: ProviderClientId::new("post"), slot: slot("b"), ..post }).await;
    [
        WrappedRow::Grant(GrantId::new("a")),
        WrappedRow::UserToken(holder("a")),
        WrappedRow::Enrolment { id: EnrolmentId::of("b"), grant: GrantId::new("b") },
        WrappedRow::ProviderClient { client: ClientId::new("c"), id: ProviderClientId::new("basic") },
        WrappedRow::ProviderClient { client: ClientId::new("b"), id: ProviderClientId::new("post") },
    ]
}

pub(crate) async fn every_row_with_something_sealed_is_found(store: &dyn Store) {
    assert!(store.wrapped(None, MANY).await.unwrap().is_empty());
    let mut expected = one_of_each(store).await;
    expected.sort();
    let mut found = store.wrapped(None, MANY).await.unwrap();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>(), expected);
    for (row, found) in found {
        let byte = if matches!(row, WrappedRow::Grant(_) | WrappedRow::Enrolment { .. }) { 1 } else { 3 };
        assert_eq!(found, wrapped("key-1", byte), "{row:?}");
    }
    // What is dead hangs on its key until it is removed.
    store.revoke(Scope::Client(ClientId::new("a")), at(1)).await.unwrap();
    assert!(of(store, &grant_row("a")).await.is_some());
    store.revoke(Scope::Grant(GrantId::new("a")), at(1)).await.unwrap();
    assert!(of(store, &grant_row("a")).await.is_none());
}

pub(crate) async fn pages_find_each_row_once(store: &dyn Store) {
    one_of_each(store).await;
    for name in ["d", "e", "f"] {
        granted(store, name, at(0)).await;
    }
    let all = store.wrapped(None, MANY).await.unwrap();
    for size in [1, 2, 3, all.len()] {
        let mut paged: Vec<(WrappedRow, Wrapped)> = Vec::new();
        loop {
            let after = paged.last().map(|(row, _)| row.clone());
            let page = store.wrapped(after.as_ref(), size).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size);
            paged.extend(page);
        }
        assert_eq!(paged, all, "pages of {size}");
    }
    // Also where the last row of a page is gone by the time of the next.
    let after = grant_row("e");
    store.revoke(Scope::Grant(GrantId::new("e")), at(1)).await.unwrap();
    assert_eq!(store.wrapped(Some(&after), 1).await.unwrap()[0].0, grant_row("f"));
}

pub(crate) async fn what_is_sealed_is_replaced_and_nothing_else(store: &dyn Store) {
    let rows = one_of_each(store).await;
    let before = store.live_grant(&GrantId::new("a")).await.unwrap().unwrap();
    let token = store.user_token(&holder("a")).await.unwrap().unwrap();
    for row in rows {
        let from = of(store, &row).await.unwrap();
        assert!(store.rewrap(row.clone(), from.clone(), wrapped("key-2", 9)).await.unwrap(), "{row:?}");
        assert_eq!(of(store, &row).await, Some(wrapped("key-2", 9)));
        assert!(!store.rewrap(row, from, wrapped("key-3", 8)).await.unwrap(), "once");
    }
    let Wrapped { master_key, sealed: data_key } = wrapped("key-2", 9);
    let expected = crate::oauth::grant::Grant { master_key, data_key, ..before };
    assert_eq!(store.live_grant(&GrantId::new("a")).await.unwrap(), Some(expected));
    let now = store.user_token(&holder("a")).await.unwrap().unwrap();
    assert_eq!((now.kept_at, &now.token, now.master_key.as_str()), (token.kept_at, &token.token, "key-2"));
    let id = ProviderClientId::new("post");
    let client = store.provider_client(&ClientId::new("b"), &id).await.unwrap().unwrap();
    assert_eq!(client.auth, KeptAuth::SecretPost(wrapped("key-2", 9)));
    // The enrolment still ends in a grant, and everything goes in its time.
    let (id, browser) = (EnrolmentId::of("b"), BrowserId::of("browser"));
    let attempt = store.attempt(&id, &browser, at(1)).await.unwrap().unwrap();
    assert_eq!(attempt.grant.master_key, "key-2");
    let finished = store.finish_enrolment(&id, &browser, finish("b", "b", at(1)), at(1)).await.unwrap();
    assert_eq!(finished, Enrolled::Done(vec![]));
    store.sweep(at(1_000_000), MANY).await.unwrap();
    assert_eq!(of(store, &grant_row("a")).await, None);
}

pub(crate) async fn a_concurrent_change_wins(store: &dyn Store) {
    enrolled(store, "a", at(0)).await;
    let row = WrappedRow::UserToken(holder("a"));
    let from = of(store, &row).await.unwrap();
    // The user replaces the token: under the same key, but it is another data key.
    let newer = crate::oauth::user_token::UserToken {
        data_key: Sealed::from_bytes(vec![7; 60]),
        ..user_token("newer")
    };
    store.replace_user_token(&holder("a"), newer.clone(), at(1)).await.unwrap().unwrap();
    assert!(!store.rewrap(row.clone(), from.clone(), wrapped("key-2", 9)).await.unwrap());
    assert_eq!(store.user_token(&holder("a")).await.unwrap(), Some(newer));
    // The same bytes under another key's name are something else, too.
    let other = Wrapped { master_key: "key-0".into(), sealed: Sealed::from_bytes(vec![7; 60]) };
    assert!(!store.rewrap(row, other, wrapped("key-2", 9)).await.unwrap());
}

pub(crate) async fn what_is_gone_does_not_come_back(store: &dyn Store) {
    let rows = one_of_each(store).await;
    let all = store.wrapped(None, MANY).await.unwrap();
    store.remove_user_token(&holder("a"), at(1)).await.unwrap();
    for client in ["b", "c"] {
        store.revoke(Scope::Client(ClientId::new(client)), at(1)).await.unwrap();
    }
    store.sweep(at(1_000_000), MANY).await.unwrap();
    store.sweep(at(1_000_000), MANY).await.unwrap();
    assert!(store.wrapped(None, MANY).await.unwrap().is_empty());
    for row in rows {
        let from = all.iter().find(|(found, _)| *found == row).unwrap().1.clone();
        assert!(!store.rewrap(row.clone(), from, wrapped("key-2", 9)).await.unwrap(), "{row:?}");
    }
    assert!(store.wrapped(None, MANY).await.unwrap().is_empty());
}

pub(crate) async fn a_refresh_goes_on_over_it(store: &dyn Store) {
    granted(store, "g", at(0)).await;
    let issued = store.redeem(&token_id("g"), issue("g", "1", None, at(1)), at(1)).await.unwrap();
    assert_eq!(issued, Redeemed::Issued);
    let id = GrantId::new("g");
    let Leasing::Leased(lease) = store.lease(&id, 0, at(2), at(40)).await.unwrap() else { panic!() };
    let from = of(store, &grant_row("g")).await.unwrap();
    assert!(store.rewrap(grant_row("g"), from, wrapped("key-2", 9)).await.unwrap());
    assert!(store.update_upstream(lease, upstream(7)).await.unwrap());
    rotated(store, "g", "2", "1", at(3)).await;
    let now = store.live_grant(&id).await.unwrap().unwrap();
    assert_eq!((now.master_key.as_str(), now.upstream.version), ("key-2", 1));
    assert_eq!(now.upstream.credential, upstream(7).credential);
    assert_ne!(now.expires_at, grant("g", "g", at(0)).expires_at, "the rotation has moved it");
}

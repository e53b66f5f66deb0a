//! Clients at providers.

use portcullis_proto::ids::{ClientId, ProviderName};
use portcullis_proto::revocation::Scope;

use super::fixtures::{
    MANY, UNUSED, at, granted, is_live, parallel, provider_client, redeemed, register, slot,
};
use crate::oauth::provider_client::{ProviderClient, ProviderClientId, Slot};
use crate::store::{Occupied, Store, Vacancy};

async fn keep(store: &dyn Store, name: &str, slot: &Slot) -> Occupied {
    store.keep_provider_client(provider_client(name, slot), MANY, at(0)).await.unwrap()
}

async fn find(store: &dyn Store, client: &str, name: &str) -> Option<ProviderClient> {
    store.provider_client(&ClientId::new(client), &ProviderClientId::new(name)).await.unwrap()
}

/// The name of the one that serves the slot.
async fn serving(store: &dyn Store, slot: &Slot, now: u64) -> Option<String> {
    match store.vacancy(slot, MANY, at(now)).await.unwrap() {
        Vacancy::Taken(client) => Some(client.id.as_ref().to_owned()),
        Vacancy::Free => None,
        Vacancy::Full => panic!("full"),
    }
}

pub(crate) async fn one_serves_each_slot(store: &dyn Store) {
    register(store, "c").await;
    register(store, "cc").await;
    let (own, elsewhere) = (slot("c"), Slot { provider: ProviderName::new("other"), ..slot("c") });
    assert_eq!(serving(store, &own, 0).await, None);
    assert_eq!(keep(store, "a", &own).await, Occupied::Done);
    let first = Box::new(provider_client("a", &own));
    assert_eq!(keep(store, "b", &own).await, Occupied::Taken(first.clone()));
    assert_eq!(find(store, "c", "b").await, None);
    assert_eq!(find(store, "c", "a").await, Some(*first));
    assert_eq!(find(store, "cc", "a").await, None, "another client's");
    assert_eq!(keep(store, "b", &elsewhere).await, Occupied::Done);
    assert_eq!(keep(store, "a", &slot("cc")).await, Occupied::Done);
    assert_eq!(serving(store, &own, 0).await.as_deref(), Some("a"));
    assert_eq!(serving(store, &elsewhere, 0).await.as_deref(), Some("b"));
    assert_eq!(serving(store, &Slot { issuer: "https://other.example".into(), ..own }, 0).await, None);
}

pub(crate) async fn one_of_parallel_registrations_is_kept(store: &dyn Store) {
    register(store, "c").await;
    let outcomes = parallel(16, async |number| keep(store, &format!("p{number}"), &slot("c")).await).await;
    let done = outcomes.iter().filter(|outcome| **outcome == Occupied::Done).count();
    assert_eq!(done, 1);
    let winner = serving(store, &slot("c"), 0).await.unwrap();
    for outcome in outcomes {
        if let Occupied::Taken(other) = outcome {
            assert_eq!(other.id.as_ref(), winner);
        }
    }
}

pub(crate) async fn the_quota_counts_them_all(store: &dyn Store) {
    for name in ["a", "b", "c"] {
        register(store, name).await;
    }
    let keep = async |client: &str| {
        store.keep_provider_client(provider_client("p", &slot(client)), 2, at(0)).await.unwrap()
    };
    let vacancy = async |client: &str| store.vacancy(&slot(client), 2, at(0)).await.unwrap();
    assert_eq!((keep("a").await, vacancy("b").await), (Occupied::Done, Vacancy::Free));
    assert_eq!((keep("b").await, vacancy("c").await), (Occupied::Done, Vacancy::Full));
    assert_eq!(keep("c").await, Occupied::Full);
    assert!(matches!(vacancy("a").await, Vacancy::Taken(_)), "known ones go on");
    // Each way out makes room.
    let forget = async |client: &str| {
        store.forget_provider_client(&ClientId::new(client), &ProviderClientId::new("p")).await.unwrap()
    };
    assert!(forget("a").await && !forget("a").await);
    assert_eq!((find(store, "a", "p").await, keep("c").await), (None, Occupied::Done));
    store.revoke(Scope::Client(ClientId::new("b")), at(1)).await.unwrap();
    assert_eq!((find(store, "b", "p").await, keep("a").await), (None, Occupied::Done));
    assert_eq!(keep("b").await, Occupied::Full);
}

pub(crate) async fn they_go_with_their_client(store: &dyn Store) {
    granted(store, "used", at(0)).await;
    register(store, "unused").await;
    for client in ["used", "unused"] {
        assert_eq!(keep(store, "p", &slot(client)).await, Occupied::Done);
    }
    assert_eq!(keep(store, "p", &slot("unknown")).await, Occupied::Gone);
    let late = provider_client("q", &Slot { issuer: "https://other.example".into(), ..slot("unused") });
    assert_eq!(store.keep_provider_client(late, MANY, at(UNUSED)).await.unwrap(), Occupied::Gone);
    // The client, and its provider client; the grant, and its code.
    assert_eq!(store.sweep(at(UNUSED), MANY).await.unwrap(), 4);
    assert!(find(store, "used", "p").await.is_some() && find(store, "unused", "p").await.is_none());
    assert_eq!(store.vacancy(&slot("new"), 2, at(UNUSED)).await.unwrap(), Vacancy::Free, "one is left");
}

pub(crate) async fn revoking_another_scope_leaves_them(store: &dyn Store) {
    redeemed(store, "c", at(0)).await;
    keep(store, "p", &slot("c")).await;
    store.revoke(Scope::Client(ClientId::new("another")), at(1)).await.unwrap();
    store.revoke(Scope::Everything, at(1)).await.unwrap();
    assert!(find(store, "c", "p").await.is_some() && !is_live(store, "c").await);
}

pub(crate) async fn an_expiring_one_is_followed_by_another_and_kept_to_its_end(store: &dyn Store) {
    granted(store, "c", at(0)).await;
    let expiring = ProviderClient { secret_expires_at: Some(at(1000)), ..provider_client("old", &slot("c")) };
    let keep = async |client, now| store.keep_provider_client(client, MANY, at(now)).await.unwrap();
    assert_eq!(keep(expiring.clone(), 0).await, Occupied::Done);
    let next = provider_client("new", &slot("c"));
    assert_eq!(keep(next.clone(), 749).await, Occupied::Taken(Box::new(expiring.clone())));
    assert_eq!(serving(store, &slot("c"), 750).await, None);
    assert_eq!(keep(next, 750).await, Occupied::Done);
    assert_eq!(serving(store, &slot("c"), 750).await.as_deref(), Some("new"));
    store.sweep(at(999), MANY).await.unwrap();
    assert_eq!(find(store, "c", "old").await, Some(expiring), "what was given to it is still good");
    assert_eq!(store.sweep(at(1000), MANY).await.unwrap(), 1);
    assert_eq!(find(store, "c", "old").await, None);
    assert_eq!(store.vacancy(&slot("d"), 2, at(1000)).await.unwrap(), Vacancy::Free, "one is left");
}

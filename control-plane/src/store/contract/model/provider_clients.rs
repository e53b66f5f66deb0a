//! Clients at providers.

use std::collections::BTreeMap;

use portcullis_proto::ids::{ClientId, ProviderName};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;

use super::memory::Memory;
use super::{Made, QUOTA, pick};
use crate::oauth::provider_client::{ProviderClient, ProviderClientId, Slot};
use crate::store::contract::fixtures::{GRACE, provider_client, slot};
use crate::store::{Occupied, Store, Vacancy};

/// The model of them.
#[derive(Default)]
pub(super) struct ProviderClients(BTreeMap<(ClientId, ProviderClientId), ProviderClient>);

// === impl ProviderClients ===

impl ProviderClients {
    fn vacancy(&self, slot: &Slot, now: Timestamp) -> Vacancy {
        match self.0.values().find(|known| known.serves(slot, now)) {
            Some(known) => Vacancy::Taken(Box::new(known.clone())),
            None if self.0.len() < QUOTA => Vacancy::Free,
            None => Vacancy::Full,
        }
    }

    fn keep(&mut self, new: ProviderClient, now: Timestamp) -> Occupied {
        match self.vacancy(&new.slot, now) {
            Vacancy::Taken(other) => Occupied::Taken(other),
            Vacancy::Full => Occupied::Full,
            Vacancy::Free => {
                self.0.insert((new.slot.client.clone(), new.id.clone()), new);
                Occupied::Done
            }
        }
    }

    pub(super) fn revoke(&mut self, scope: &Scope) {
        self.0.retain(|(client, _), _| *scope != Scope::Client(client.clone()));
    }

    pub(super) fn sweep(&mut self, is_there: impl Fn(&ClientId) -> bool, now: Timestamp) {
        self.0.retain(|(client, _), row| {
            is_there(client) && row.secret_expires_at.is_none_or(|expires_at| expires_at > now)
        });
    }
}

/// The slot of one of the clients at one of two providers.
fn draw(made: &Made, of: usize) -> Slot {
    let provider = ProviderName::new(if of.is_multiple_of(3) { "other" } else { "provider" });
    Slot { provider, ..slot(&format!("c{}", pick(of, made.clients))) }
}

pub(super) async fn keep(
    store: &dyn Store,
    memory: &mut Memory,
    made: &mut Made,
    of: usize,
    expires: bool,
    now: Timestamp,
) {
    let slot = draw(made, of);
    let new = ProviderClient {
        registered_at: now,
        secret_expires_at: expires.then(|| now.after(GRACE * 4)),
        ..provider_client(&format!("p{}", made.provider_clients), &slot)
    };
    made.provider_clients += 1;
    let kept = store.keep_provider_client(new.clone(), QUOTA, now).await.unwrap();
    let expected = match memory.client(&slot.client, now) {
        Some(_) => memory.provider_clients.keep(new, now),
        None => Occupied::Gone,
    };
    assert_eq!(kept, expected, "{slot:?}");
}

pub(super) async fn forget(store: &dyn Store, memory: &mut Memory, made: &Made, of: usize) {
    let client = ClientId::new(format!("c{}", pick(of, made.clients)));
    let id = ProviderClientId::new(format!("p{}", pick(of, made.provider_clients)));
    let forgotten = store.forget_provider_client(&client, &id).await.unwrap();
    assert_eq!(forgotten, memory.provider_clients.0.remove(&(client, id)).is_some());
}

/// Everything that can be seen.
pub(super) async fn compare(store: &dyn Store, memory: &Memory, made: &Made, now: Timestamp) {
    let known = &memory.provider_clients;
    for client in 0..made.clients {
        let client = ClientId::new(format!("c{client}"));
        for name in 0..made.provider_clients {
            let id = ProviderClientId::new(format!("p{name}"));
            let row = store.provider_client(&client, &id).await.unwrap();
            assert_eq!(row.as_ref(), known.0.get(&(client.clone(), id)));
        }
        for provider in ["provider", "other"] {
            let slot = Slot { provider: ProviderName::new(provider), ..slot(client.as_str()) };
            assert_eq!(store.vacancy(&slot, QUOTA, now).await.unwrap(), known.vacancy(&slot, now));
        }
    }
}

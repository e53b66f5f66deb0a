//! Making a provider client: at most one at a time for each slot, as far as this process can tell, and one in all, as
//! far as the store can.

use std::sync::Arc;

use moka::future::Cache;
use tokio_util::task::TaskTracker;

use super::sealed::{open, seal};
use super::{Acting, ActingError, document, new_client};
use crate::app::App;
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::oauth::provider_client::{ActingClient, ProviderClient, ProviderClientId, Slot};
use crate::provider::{
    AppCredentials, ClientAuth, Enrolment, Management, Provider, ProviderError, RegisteredClient,
};
use crate::store::{Occupied, Vacancy};

/// Registrations at providers under way.
pub struct Registrations {
    /// Whoever needs the same client while it is being registered gets that one.
    flights: Cache<Slot, Result<Acting, ActingError>>,
    tasks: TaskTracker,
}

// === impl Registrations ===

impl Default for Registrations {
    fn default() -> Self {
        Self { flights: Cache::new(10_000), tasks: TaskTracker::new() }
    }
}

impl Registrations {
    /// Waits for those under way: what a provider has registered is to be kept.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Has a client made for the slot, where nobody has yet. Whoever asks may go away: then what the provider has
/// registered must not be lost, so that is a task of its own.
pub(super) async fn enrol(
    app: &Arc<App>,
    issuer: &Arc<Issuer>,
    slot: Slot,
    name: String,
) -> Result<Acting, ActingError> {
    let (app, issuer) = (app.clone(), issuer.clone());
    let tasks = app.registrations.tasks.clone();
    let task = tasks.spawn(async move {
        let flights = &app.registrations.flights;
        let outcome = flights.get_with_by_ref(&slot, counted(&app, &issuer, &slot, &name)).await;
        flights.invalidate(&slot).await;
        outcome
    });
    task.await.unwrap_or_else(|_| Err(ProviderError::Unreachable("the registration broke off".into()).into()))
}

async fn counted(app: &App, issuer: &Issuer, slot: &Slot, name: &str) -> Result<Acting, ActingError> {
    let outcome = attempt(app, issuer, slot, name).await;
    let label = match &outcome {
        // Nothing was made at the provider.
        Ok(Acting { client: ActingClient::Document(_), .. }) => return outcome,
        Ok(_) => "done",
        Err(ActingError::Full) => "full",
        Err(_) => "failed",
    };
    Metrics::count(&app.metrics.provider_registrations, label);
    outcome
}

async fn attempt(app: &App, issuer: &Issuer, slot: &Slot, name: &str) -> Result<Acting, ActingError> {
    let provider = app.providers.get(&slot.provider).ok_or(ActingError::NotConfigured)?.as_ref();
    // Somebody else may have been faster. And where there is no room, the provider is not to be troubled.
    match app.store.vacancy(slot, app.config.limits.provider_clients, app.now()).await? {
        Vacancy::Taken(known) => return open(app, *known),
        Vacancy::Full => return Err(ActingError::Full),
        Vacancy::Free => {}
    }
    let document = document::url(issuer, &slot.client);
    match provider.register(&new_client(issuer, slot, name, &document)).await? {
        Enrolment::Registered(made) => keep(app, provider, slot, made).await,
        Enrolment::ByDocument => {
            let url = String::from(document);
            let credentials = AppCredentials { client_id: url.clone(), auth: ClientAuth::None };
            Ok(Acting { client: ActingClient::Document(url), credentials })
        }
    }
}

/// Keeps what the provider has registered, where nobody has been faster.
async fn keep(
    app: &App,
    provider: &dyn Provider,
    slot: &Slot,
    made: RegisteredClient,
) -> Result<Acting, ActingError> {
    let RegisteredClient { credentials, secret_expires_at, management } = made;
    let (id, now) = (ProviderClientId::generate(app.random.as_ref()), app.now());
    let row = ProviderClient {
        auth: seal(app, &id, &credentials.auth)?,
        id: id.clone(),
        slot: slot.clone(),
        client_id: credentials.client_id.clone(),
        registered_at: now,
        secret_expires_at,
    };
    let quota = app.config.limits.provider_clients;
    let winner = match app.store.keep_provider_client(row, quota, now).await {
        Ok(Occupied::Done) => {
            let (client, provider_client) = (&slot.client, &credentials.client_id);
            tracing::info!(%client, provider = %slot.provider, provider_client, "registered at the provider");
            return Ok(Acting { client: ActingClient::Registered(id), credentials });
        }
        Ok(Occupied::Taken(winner)) => Ok(winner),
        Ok(Occupied::Gone) => Err(ActingError::ClientGone),
        Ok(Occupied::Full) => Err(ActingError::Full),
        Err(error) => Err(error.into()),
    };
    take_back(provider, slot, &credentials.client_id, management).await;
    open(app, *winner?)
}

/// Takes back a client that was registered in vain. Where that cannot be done, it stays at the provider, unused.
async fn take_back(
    provider: &dyn Provider,
    slot: &Slot,
    provider_client: &str,
    management: Option<Management>,
) {
    let (client, name) = (&slot.client, &slot.provider);
    match management {
        None => {
            tracing::warn!(%client, provider = %name, provider_client, "registered at the provider in vain");
        }
        Some(management) => match provider.deregister(&management).await {
            Ok(()) => {
                tracing::info!(%client, provider = %name, provider_client, "registered in vain, taken back");
            }
            Err(error) => {
                tracing::warn!(%client, provider = %name, provider_client, %error, "registered in vain, and stays");
            }
        },
    }
}

//! Which client of a provider acts for an MCP client: the app that is configured, or one that exists at the provider
//! for this MCP client alone (`registration: dynamic`).
//!
//! Only a login that its user has approved registers one. Of those who register for the same slot at the same time
//! the store keeps the first; what the others have made is taken back, as far as the provider lets us.

pub mod document;
mod enrol;
mod sealed;

use std::sync::Arc;

use portcullis_proto::ids::{ClientId, ProviderName};
use portcullis_proto::seal::OpenError;
use thiserror::Error;
use url::Url;

pub use self::enrol::Registrations;
use self::sealed::open;
use crate::app::App;
use crate::clients;
use crate::issuer::Issuer;
use crate::oauth::client::Client;
use crate::oauth::provider_client::{ActingClient, Slot, display_name};
use crate::oauth::scope::Scopes;
use crate::provider::{AppCredentials, AppIdentity, ClientAuth, NewClient, ProviderError, Settings};
use crate::store::{Registered, StoreError, Vacancy};

/// Who acts.
#[derive(Clone, Debug)]
pub struct Acting {
    /// As it is kept with the login and the grant.
    pub client: ActingClient,
    /// As the provider knows it.
    pub credentials: AppCredentials,
}

/// Why nobody can act.
#[derive(Clone, Debug, Error)]
pub enum ActingError {
    /// The configuration has changed.
    #[error("the provider is not configured any more")]
    NotConfigured,
    /// Nobody has logged in with it in time.
    #[error("the MCP client was forgotten or revoked meanwhile")]
    ClientGone,
    /// `limits.provider_clients`.
    #[error("there are as many clients at providers as `limits.provider_clients` allows")]
    Full,
    /// `limits.unused_clients`.
    #[error("there are as many clients that nobody has logged in with as `limits.unused_clients` allows")]
    TooManyUnused,
    /// The provider client is gone, and so is all that it was given.
    #[error("the provider client that this was begun with is not there any more")]
    Lost,
    /// The registration.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The secret.
    #[error("the provider client's secret does not open")]
    Open(#[from] OpenError),
}

/// Who is to act in a login that begins: registered now, where that is needed.
pub async fn begin(
    app: &Arc<App>,
    issuer: &Arc<Issuer>,
    client: &Client,
    provider: &ProviderName,
) -> Result<Acting, ActingError> {
    if let Some(acting) = app_itself(app, provider) {
        return Ok(acting);
    }
    let slot = slot(app, issuer, client, provider).ok_or(ActingError::NotConfigured)?;
    if let Vacancy::Taken(known) =
        app.store.vacancy(&slot, app.config.limits.provider_clients, app.now()).await?
    {
        return open(app, *known);
    }
    if clients::introduce(app, client).await? == Registered::Full {
        return Err(ActingError::TooManyUnused);
    }
    enrol::enrol(app, issuer, slot, display_name(client.name.as_deref())).await
}

/// Who is to act in a login that is for no MCP client; `None` at a provider where each has a client of its own.
pub fn app_itself(app: &App, provider: &ProviderName) -> Option<Acting> {
    match &app.config.providers.get(provider)?.app().identity {
        AppIdentity::Fixed(credentials) => {
            Some(Acting { client: ActingClient::App, credentials: credentials.clone() })
        }
        AppIdentity::Dynamic(_) => None,
    }
}

/// Who acted for `client` when something was begun, and still does.
pub async fn recall(
    app: &App,
    provider: &ProviderName,
    client: Option<&ClientId>,
    acting: &ActingClient,
) -> Result<AppCredentials, ActingError> {
    let settings = app.config.providers.get(provider).ok_or(ActingError::NotConfigured)?;
    match (acting, &settings.app().identity) {
        (ActingClient::App, AppIdentity::Fixed(credentials)) => Ok(credentials.clone()),
        (ActingClient::App, AppIdentity::Dynamic(_)) => Err(ActingError::Lost),
        (ActingClient::Document(url), _) => {
            Ok(AppCredentials { client_id: url.clone(), auth: ClientAuth::None })
        }
        (ActingClient::Registered(id), _) => {
            let client = client.ok_or(ActingError::Lost)?;
            let known = app.store.provider_client(client, id).await?.ok_or(ActingError::Lost)?;
            if settings.authority() != Some(known.slot.authority.as_str()) {
                return Err(ActingError::Lost);
            }
            open(app, known).map(|acting| acting.credentials)
        }
    }
}

/// The provider has refused this client. One that was registered is forgotten, so that the next login makes
/// another: the provider does not send browsers back to us that come with one that it does not know.
pub async fn refused(app: &App, provider: &ProviderName, client: Option<&ClientId>, acting: &ActingClient) {
    let (ActingClient::Registered(id), Some(client)) = (acting, client) else { return };
    match app.store.forget_provider_client(client, id).await {
        Ok(true) => tracing::warn!(
            %client, %provider,
            "the provider does not know the client that it has registered for this one; the next login registers anew"
        ),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "a provider client could not be forgotten"),
    }
}

/// The metadata document of an MCP client at a provider of this issuer; `None` where no provider may ask for it.
pub fn metadata(app: &App, issuer: &Issuer, client: &Client) -> Option<serde_json::Value> {
    let dynamic = |settings: &&Settings| matches!(settings.app().identity, AppIdentity::Dynamic(_));
    let (provider, _) = app
        .config
        .servers
        .iter()
        .filter(|(name, _)| issuer.has(name))
        .filter_map(|(_, server)| Some((&server.provider, app.config.providers.get(&server.provider)?)))
        .find(|(_, settings)| dynamic(settings))?;
    let slot = slot(app, issuer, client, provider)?;
    let (name, url) = (display_name(client.name.as_deref()), document::url(issuer, &client.id));
    Some(new_client(issuer, &slot, &name, &url).document())
}

// === impl ActingError ===

impl From<StoreError> for ActingError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

fn slot(app: &App, issuer: &Issuer, client: &Client, provider: &ProviderName) -> Option<Slot> {
    let settings = app.config.providers.get(provider)?;
    let servers = app.config.servers.iter();
    let servers = servers.filter(|(name, server)| issuer.has(name) && server.provider == *provider);
    let asked = servers.flat_map(|(_, server)| &server.scopes);
    Some(Slot {
        client: client.id.clone(),
        provider: provider.clone(),
        authority: settings.authority()?.to_owned(),
        issuer: issuer.identifier.clone(),
        scopes: Scopes::from_tokens(settings.app().scopes.iter().chain(asked).cloned()),
    })
}

fn new_client<'a>(issuer: &'a Issuer, slot: &'a Slot, name: &'a str, document: &'a Url) -> NewClient<'a> {
    NewClient { name, redirect_uri: &issuer.callback, scopes: slot.scopes.as_slice(), document }
}

#[cfg(test)]
pub(crate) mod tests;

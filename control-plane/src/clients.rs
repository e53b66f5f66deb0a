//! Clients, wherever they are described: in the configuration, in a document of their own, or in the store.

use portcullis_proto::ids::ClientId;
use thiserror::Error;

use crate::app::App;
use crate::client_document::DocumentError;
use crate::oauth::client::{Client, ClientAuth, ClientSource};
use crate::oauth::document_url::{self, DocumentUrl};
use crate::store::{Registered, StoreError};

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody by that name, or not any more.
    #[error("the client is not known")]
    Unknown,
    /// One whose document cannot be had, or does not count.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The client as it is now. Where a document must be fetched and cannot be, there is none.
pub async fn find(app: &App, id: &ClientId) -> Result<Client, ClientError> {
    if let Some(client) = app.config.clients.preregistered.get(id) {
        return Ok(client.clone());
    }
    if DocumentUrl::is_meant_by(id.as_str()) {
        let documents = app.documents.as_ref().ok_or(ClientError::Unknown)?;
        let url = DocumentUrl::parse(id.as_str()).map_err(DocumentError::from)?;
        let client = documents.client(&url, app.issuers.origins(), app.now()).await?;
        return Ok(client.as_ref().clone());
    }
    if id.as_str().len() > document_url::MAX_LEN {
        return Err(ClientError::Unknown);
    }
    let client = app.store.client(id, app.now()).await?;
    // What the store has of others is a record: they are what their documents or the configuration say, or nothing.
    client.filter(|client| client.source == ClientSource::Registered).ok_or(ClientError::Unknown)
}

/// The same for whoever somebody has approved or logged in with before: while a document cannot be fetched, a client that proves
/// nothing by it is what it was. So a session does not end, nor a login fail, because a client's web site is down.
pub async fn find_or_recall(app: &App, id: &ClientId) -> Result<Client, ClientError> {
    match find(app, id).await {
        Err(ClientError::Document(error)) if error.may_pass() => {
            let record = app.store.client(id, app.now()).await?;
            let same =
                |client: &Client| client.source == ClientSource::Document && client.auth == ClientAuth::None;
            record.filter(same).ok_or(ClientError::Document(error))
        }
        found => found,
    }
}

/// The client as far as it is known without asking anybody. What it may do, [`find`] says.
pub async fn known(app: &App, id: &ClientId) -> Result<Option<Client>, StoreError> {
    if let Some(client) = app.config.clients.preregistered.get(id) {
        return Ok(Some(client.clone()));
    }
    if let Some(documents) = &app.documents
        && let Some(client) = documents.kept(id).await
    {
        return Ok(Some(client.as_ref().clone()));
    }
    app.store.client(id, app.now()).await
}

/// What a client calls itself, where that is [`known`].
pub async fn name(app: &App, id: &ClientId) -> Option<String> {
    known(app, id).await.ok().flatten()?.name
}

/// Makes sure that a client that the user has approved has a row in the store before anything is kept that goes with
/// it. Nobody has logged in with it yet: one that is described by a document is forgotten like one that has registered.
pub async fn introduce(app: &App, client: &Client) -> Result<Registered, StoreError> {
    let now = app.now();
    match client.source {
        ClientSource::Registered => Ok(Registered::Done),
        ClientSource::Configured => remember(app, client.clone()).await.map(|()| Registered::Done),
        ClientSource::Document => {
            let unused_until = Some(now.after(app.config.lifetimes.unused_client));
            let record = Client { created_at: now, unused_until, ..client.clone().record() };
            let registered = app.store.register(record, app.config.limits.unused_clients).await?;
            note_room(app, registered);
            Ok(registered)
        }
    }
}

/// Says so in log and metrics where there was no room for a client but what others made.
pub fn note_room(app: &App, registered: Registered) {
    match registered {
        Registered::Done => {}
        Registered::InPlaceOf(others) => {
            app.metrics.registrations_pushed_out.inc_by(others as u64);
            tracing::info!(others, "registrations that nobody had used made room for another");
        }
        Registered::Full => tracing::warn!("no room for another client: somebody logs in with each of those"),
    }
}

/// Keeps a record of a client that is described elsewhere and that somebody has logged in with.
pub async fn remember(app: &App, client: Client) -> Result<(), StoreError> {
    match client.source {
        ClientSource::Registered => Ok(()),
        ClientSource::Configured | ClientSource::Document => {
            app.store.remember(Client { created_at: app.now(), ..client.record() }).await
        }
    }
}

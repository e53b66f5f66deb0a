//! Clients, wherever they are described: in the configuration, in a document of their own, or in the store.

use portcullis_proto::ids::ClientId;
use thiserror::Error;

use crate::app::App;
use crate::client_document::{DocumentError, Standing};
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
        return described(app, id, used(app, id).await?).await;
    }
    if id.as_str().len() > document_url::MAX_LEN {
        return Err(ClientError::Unknown);
    }
    let client = app.store.client(id, app.now()).await?;
    // What the store has of others is a record: they are what their documents or the configuration say, or nothing.
    client.filter(|client| client.source == ClientSource::Registered).ok_or(ClientError::Unknown)
}

/// What a document says of its client. The record of one that somebody has logged in with follows it in how the client
/// proves who it is: one that was public, and is not any more, must not pass for public while its document is out of reach.
async fn described(app: &App, id: &ClientId, record: Option<Client>) -> Result<Client, ClientError> {
    let documents = app.documents.as_ref().ok_or(ClientError::Unknown)?;
    let url = DocumentUrl::parse(id.as_str()).map_err(DocumentError::from)?;
    let standing = if record.is_some() { Standing::Known } else { Standing::Stranger };
    let client = documents.client(&url, standing, app.now()).await?.as_ref().clone();
    if record.is_some_and(|record| record.auth != client.auth) {
        remember(app, client.clone()).await?;
    }
    Ok(client)
}

/// The record of a client that somebody has logged in with.
async fn used(app: &App, id: &ClientId) -> Result<Option<Client>, ClientError> {
    if id.as_str().len() > document_url::MAX_LEN {
        return Ok(None);
    }
    let record = app.store.client(id, app.now()).await?;
    Ok(record.filter(|record| record.unused_until.is_none()))
}

/// [`find_or_recall`] for whoever only says who they are. Nothing has been issued to a client that nobody has logged in
/// with, so nobody is asked about one: a request that takes no account must not make us fetch what it names.
pub async fn find_to_authenticate(app: &App, id: &ClientId) -> Result<Client, ClientError> {
    if DocumentUrl::is_meant_by(id.as_str()) && used(app, id).await?.is_none() {
        return Err(ClientError::Unknown);
    }
    find_or_recall(app, id).await
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

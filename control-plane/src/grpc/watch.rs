//! One authz instance's Watch stream.
//!
//! The log is read from the store as fast as the instance takes it, so a slow one costs a position and a
//! short queue; it cannot hold anybody else up. A stream that stalls is dropped, and resumes from its
//! position.

use std::time::Duration;

use portcullis_proto::ids::{InstanceName, Sequence};
use portcullis_proto::revocation::Position;
use portcullis_proto::staleness::MAX_STALENESS;
use portcullis_proto::v1;
use portcullis_proto::v1::watch_request::Message as Incoming;
use portcullis_proto::v1::watch_response::Message as Outgoing;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch::Receiver;
use tonic::{Status, Streaming};

use super::unavailable;
use crate::app::App;

/// How long an instance may leave a full queue full.
const STALLED: Duration = Duration::from_secs(5);
/// Entries in one message.
const BATCH: usize = 256;

type Queue = Sender<Result<v1::WatchResponse, Status>>;

/// Runs until the instance goes away.
pub async fn run(
    app: &App,
    hello: v1::WatchRequest,
    mut incoming: Streaming<v1::WatchRequest>,
    queue: &Queue,
) -> Result<(), Status> {
    let Some(Incoming::Hello(hello)) = hello.message else {
        return Err(Status::invalid_argument("the first message is not Hello"));
    };
    let claimed = hello.position.map(Position::try_from).transpose();
    let claimed = claimed.map_err(|error| Status::invalid_argument(error.to_string()))?;
    if !is_name(&hello.instance) {
        return Err(Status::invalid_argument(
            "an instance's name is 1 to 255 printable characters without spaces",
        ));
    }
    let lingers = Duration::from_millis(hello.max_staleness_ms);
    if lingers > MAX_STALENESS {
        return Err(Status::invalid_argument("max_staleness_ms is more than an hour"));
    }
    let name = InstanceName::new(hello.instance);
    let mut head = app.store.head();
    let mut position = begin(app, claimed, queue).await?;
    let applied = acknowledged(claimed, position);
    let membership = app.instances.join(name.clone(), applied, lingers, app.now());
    tracing::info!(instance = %name, from = %position.sequence, "authz instance connected");
    let mut recipes = app.recipes.subscribe();
    send(queue, Outgoing::Catalog(catalog(app))).await?;

    let mut probe = None;
    loop {
        position = catch_up(app, position, &mut head, queue).await?;
        if let Some(v1::Probe { at_ms }) = probe.take() {
            let (head, now_ms) = (Some(position.into()), app.now().as_millis());
            send(queue, Outgoing::Heartbeat(v1::Heartbeat { head, probe_at_ms: at_ms, now_ms })).await?;
        }
        tokio::select! {
            changed = head.changed() => {
                changed.map_err(|_| Status::unavailable("the store is closed"))?;
            }
            changed = recipes.changed() => {
                changed.map_err(|_| Status::unavailable("shutting down"))?;
                send(queue, Outgoing::Catalog(catalog(app))).await?;
            }
            message = incoming.message() => match message?.map(|message| message.message) {
                Some(Some(Incoming::Applied(applied))) if applied.sequence <= position.sequence.0 => {
                    membership.applied(Sequence(applied.sequence));
                }
                Some(Some(Incoming::Probe(asked))) => probe = Some(asked),
                Some(Some(Incoming::Applied(_) | Incoming::Hello(_)) | None) => {
                    return Err(Status::invalid_argument("expected Applied of what was sent, or Probe"));
                }
                None => break,
            },
        }
    }
    tracing::info!(instance = %name, "authz instance disconnected");
    Ok(())
}

/// Whether operators can read it in a list, and type it.
fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where the instance goes on from: its own position where this log has had it, else the log's base, after a
/// fresh start.
async fn begin(app: &App, claimed: Option<Position>, queue: &Queue) -> Result<Position, Status> {
    if let Some(claimed) = claimed {
        let known = app.store.entries_after(&claimed, 1).await.map_err(|error| unavailable(&error))?;
        if known.is_some() {
            return Ok(claimed);
        }
    }
    let base = app.store.base().await.map_err(|error| unavailable(&error))?;
    send(queue, Outgoing::StartOver(v1::StartOver { from: Some(base.into()) })).await?;
    Ok(base)
}

/// What counts as applied before the instance has said so: what it had before, and nothing after a fresh start.
fn acknowledged(claimed: Option<Position>, position: Position) -> Sequence {
    if claimed == Some(position) { position.sequence } else { Sequence::default() }
}

/// Sends every entry up to the head.
async fn catch_up(
    app: &App,
    mut position: Position,
    head: &mut Receiver<Position>,
    queue: &Queue,
) -> Result<Position, Status> {
    while *head.borrow_and_update() != position {
        let entries = app.store.entries_after(&position, BATCH).await.map_err(|error| unavailable(&error))?;
        let entries = entries.ok_or_else(|| Status::aborted("the log has been cut: start over"))?;
        for entry in &entries {
            position =
                position.after(entry).ok_or_else(|| Status::internal("the log's entries do not follow"))?;
        }
        if entries.is_empty() {
            break;
        }
        let entries = entries.into_iter().map(Into::into).collect();
        send(queue, Outgoing::Entries(v1::Entries { entries })).await?;
    }
    Ok(position)
}

async fn send(queue: &Queue, message: Outgoing) -> Result<(), Status> {
    let message = Ok(v1::WatchResponse { message: Some(message) });
    queue
        .send_timeout(message, STALLED)
        .await
        .map_err(|_| Status::deadline_exceeded("the stream has stalled"))
}

fn catalog(app: &App) -> v1::Catalog {
    let servers = app.config.servers.iter().map(|(name, server)| v1::CatalogServer {
        name: name.to_string(),
        resource: server.url.to_string(),
        resource_metadata: server.resource_metadata(),
        scopes: server.scopes.clone(),
        required_scopes: server.required_scopes.clone(),
        credential_revision: app.recipes.of(name).map_or(0, |recipe| recipe.revision),
        passthrough: server.passthrough.clone(),
        credential_headers: server.credential_headers().map(str::to_owned).collect(),
        withheld_identity: server.withheld().map(|header| header.to_string()).collect(),
    });
    v1::Catalog { servers: servers.collect() }
}

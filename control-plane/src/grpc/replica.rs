//! The Replica service: single answers for authz instances, and their Watch streams.

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::TokenId;
use portcullis_proto::v1;
use portcullis_proto::v1::replica_server::Replica;
use portcullis_proto::v1::resolve_response::Outcome;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::{unavailable, watch};
use crate::app::App;
use crate::credential::{ComposeError, compose};
use crate::metrics::Metrics;
use crate::store::StoreError;
use crate::upstream::{Freshness, freshen};

/// Messages that may wait for a slow instance. The log itself waits in the store.
const QUEUE: usize = 16;
/// How long an instance may take to say who it is.
const HELLO: Duration = Duration::from_secs(5);

/// The service.
pub struct ReplicaService {
    app: Arc<App>,
    streams: TaskTracker,
    shutdown: CancellationToken,
}

// === impl ReplicaService ===

impl ReplicaService {
    /// Streams end, and are counted in `streams`, when `shutdown` is cancelled.
    pub const fn new(app: Arc<App>, streams: TaskTracker, shutdown: CancellationToken) -> Self {
        Self { app, streams, shutdown }
    }
}

#[tonic::async_trait]
impl Replica for ReplicaService {
    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        let began = Instant::now();
        let id = TokenId::from_slice(&request.get_ref().token_id)
            .ok_or_else(|| Status::invalid_argument("token_id is not 32 bytes"))?;
        let outcome = resolve(&self.app, id).await;
        let label = match &outcome {
            Ok(Outcome::Record(_)) => "record",
            Ok(Outcome::Unknown(_)) => "unknown",
            Ok(Outcome::Unavailable(_)) => "unavailable",
            Err(_) => "failed",
        };
        Metrics::count(&self.app.metrics.resolves, label);
        self.app.metrics.resolve_seconds.observe(began.elapsed().as_secs_f64());
        let outcome = outcome.map_err(|error| unavailable(&error))?;
        Ok(Response::new(v1::ResolveResponse { outcome: Some(outcome) }))
    }

    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut incoming = request.into_inner();
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (app, shutdown) = (self.app.clone(), self.shutdown.clone());
        self.streams.spawn(async move {
            let stream = async {
                let hello = tokio::time::timeout(HELLO, incoming.message())
                    .await
                    .map_err(|_| Status::deadline_exceeded("no Hello"))??
                    .ok_or_else(|| Status::cancelled("closed before Hello"))?;
                watch::run(&app, hello, incoming, &sender).await
            };
            let ended = tokio::select! {
                ended = stream => ended,
                () = shutdown.cancelled() => Err(Status::unavailable("shutting down")),
            };
            if let Err(status) = ended {
                // Nobody may be listening any more.
                let _ = sender.send_timeout(Err(status), Duration::from_secs(1)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// What is known of a token, with a credential that is good now.
async fn resolve(app: &Arc<App>, id: TokenId) -> Result<Outcome, StoreError> {
    // Whether a token has ended, authz judges by its own clock. A 401 for one that is alive would log its user out.
    let now = app.believed_now();
    let Some((token, grant)) = app.store.access_token(&id, now).await? else {
        return Ok(Outcome::Unknown(v1::Unknown {}));
    };
    let grant = match freshen(app, grant, now).await? {
        Freshness::Good(grant) => grant,
        Freshness::Unavailable => return Ok(Outcome::Unavailable(v1::Unavailable {})),
        Freshness::Dead => return Ok(Outcome::Unknown(v1::Unknown {})),
    };
    // What we date ourselves, authz judges by its own clock, which agrees with ours or decides nothing.
    Ok(match compose(app, &token, &grant, app.now()).await {
        Ok(credential) => Outcome::Record(grant.record(id, token, credential).into()),
        Err(ComposeError::AuthorizeAgain) => Outcome::Unknown(v1::Unknown {}),
        Err(ComposeError::Store(error)) => return Err(error),
        Err(error @ (ComposeError::NotConfigured | ComposeError::Open(_) | ComposeError::Sign(_))) => {
            tracing::error!(grant = %grant.id, server = %grant.server, %error, "no credential");
            Outcome::Unavailable(v1::Unavailable {})
        }
    })
}

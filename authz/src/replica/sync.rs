//! Keeps the replica current: follows the control plane's Watch stream, and comes back when it ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::InstanceName;
use portcullis_proto::random::Random;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::watch_request::Message;
use portcullis_proto::v1::{Applied, Hello, WatchRequest};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tracing::{info, warn};

use super::Replica;
use super::backoff::Backoff;
use super::step::{ProtocolError, Step, step};
use super::store::{Durable, StoreError};

/// Heartbeats come each second. A stream that is silent for this long is as good as gone.
const SILENCE: Duration = Duration::from_secs(5);
/// A stream that has lived for this long was none of those that fail at once.
const STEADY: Duration = Duration::from_secs(5);
/// Bytes of one message, at most.
const MAX_MESSAGE: usize = 16 << 20;

/// One instance's end of the Watch stream.
pub struct Sync {
    replica: Arc<Replica>,
    client: ReplicaClient<Channel>,
    instance: InstanceName,
    random: Arc<dyn Random>,
    /// Whether the replica's position may be built upon. After a protocol error it may not.
    trusted: bool,
}

/// Why a stream ended.
#[derive(Debug, Error)]
enum SyncError {
    #[error("{}: {}", .0.code(), .0.message())]
    Stream(#[from] tonic::Status),
    #[error("nothing was heard for {SILENCE:?}")]
    Silent,
    #[error("the control plane ended it")]
    Ended,
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl Sync ===

impl Sync {
    /// Does not connect yet.
    pub fn new(
        replica: Arc<Replica>,
        client: ReplicaClient<Channel>,
        instance: InstanceName,
        random: Arc<dyn Random>,
    ) -> Self {
        let client = client.max_decoding_message_size(MAX_MESSAGE);
        Self { replica, client, instance, random, trusted: true }
    }

    /// Follows one stream after the other. Returns only when the store takes no more writes.
    pub async fn run(mut self) -> StoreError {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.follow(&mut backoff).await {
                Ok(never) => match never {},
                Err(SyncError::Store(error)) => return error,
                Err(error) => error,
            };
            self.trusted &= !matches!(error, SyncError::Protocol(_));
            let delay = backoff.next(&*self.random);
            warn!(%error, retry_in = ?delay, "the control plane's stream ended");
            tokio::time::sleep(delay).await;
        }
    }

    /// Follows one stream. What we say on it ends with this call: a stream that we have given up must not go on
    /// acknowledging for us.
    async fn follow(&mut self, backoff: &mut Backoff) -> Result<Infallible, SyncError> {
        // A position in Hello counts as applied, so it must be durable first.
        let durable = self.replica.settled().await?;
        let position = self.replica.position().filter(|_| self.trusted).map(Into::into);
        let hello = Message::Hello(Hello { instance: self.instance.to_string(), position });
        let (requests, outgoing) = mpsc::channel(1);
        let speak = speak(hello, durable, requests);
        tokio::select! {
            ended = self.listen(ReceiverStream::new(outgoing), backoff) => ended,
            ended = speak => ended,
        }
    }

    async fn listen(
        &mut self,
        requests: ReceiverStream<WatchRequest>,
        backoff: &mut Backoff,
    ) -> Result<Infallible, SyncError> {
        self.replica.reconnect();
        let began = Instant::now();
        let mut responses = in_time(self.client.watch(requests)).await?.into_inner();
        let mut last = Instant::now();
        loop {
            let message = in_time(responses.message()).await?.ok_or(SyncError::Ended)?;
            // A process that was stopped for a while finds what was said meanwhile: a heartbeat of long ago is no
            // sign that nothing is missing now.
            if last.elapsed() > SILENCE {
                return Err(SyncError::Silent);
            }
            last = Instant::now();
            match step(self.replica.position(), message)? {
                Step::StartOver(from) => {
                    info!(sequence = from.sequence.0, epoch = ?from.epoch, "starting over");
                    self.replica.start_over(from, &*self.random).await?;
                    self.trusted = true;
                }
                Step::Catalog(catalog) => self.replica.set_catalog(catalog),
                Step::Append(entries, position) => self.replica.append(&entries, position).await?,
                Step::Heartbeat(head) => {
                    self.replica.heartbeat(head);
                    if began.elapsed() >= STEADY {
                        backoff.reset();
                    }
                }
            }
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, tonic::Status>>) -> Result<T, SyncError> {
    match timeout(SILENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(Elapsed { .. }) => Err(SyncError::Silent),
    }
}

/// Hello, then the position whenever it has become durable. What has not been said yet when the next one comes
/// is left out.
async fn speak(
    hello: Message,
    mut durable: watch::Receiver<Durable>,
    requests: mpsc::Sender<WatchRequest>,
) -> Result<Infallible, SyncError> {
    let mut next = Some(hello);
    loop {
        if let Some(message) = next.take() {
            let request = WatchRequest { message: Some(message) };
            requests.send(request).await.map_err(|_| SyncError::Ended)?;
        }
        durable.changed().await.map_err(|_| SyncError::Ended)?;
        let applied = *durable.borrow_and_update();
        next = applied.map(|(_, sequence)| Message::Applied(Applied { sequence: sequence.0 }));
    }
}

//! Keeps the replica current: follows the control plane's Watch stream, and comes back when it ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::InstanceName;
use portcullis_proto::random::Random;
use portcullis_proto::time::Clock;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::watch_request::Message;
use portcullis_proto::v1::{Applied, Hello, Probe, WatchRequest};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tracing::{info, warn};

use super::Replica;
use super::backoff::Backoff;
use super::freshness::Moment;
use super::skew::skew;
use super::step::{Heartbeat, ProtocolError, Step, step};
use super::store::{Durable, StoreError};

/// How often the control plane is asked how far the log is.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A stream that is silent for this long, probes notwithstanding, is as good as gone.
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
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// When this began: what probes count from.
    epoch: Instant,
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
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let client = client.max_decoding_message_size(MAX_MESSAGE);
        Self { replica, client, instance, clock, random, epoch: Instant::now(), trusted: true }
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
        let hello = Message::Hello(Hello {
            instance: self.instance.to_string(),
            position,
            max_staleness_ms: u64::try_from(self.replica.max_staleness.as_millis()).unwrap_or(u64::MAX),
        });
        let (requests, outgoing) = mpsc::channel(1);
        let speak = speak(hello, durable, self.epoch, requests);
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
        let began = Instant::now();
        let mut responses = in_time(self.client.watch(requests)).await?.into_inner();
        self.replica.reconnect(); // not before: until now, questions may have gone to whom the last stream came from
        loop {
            let message = in_time(responses.message()).await?.ok_or(SyncError::Ended)?;
            match step(self.replica.position(), message)? {
                Step::StartOver(from) => {
                    info!(sequence = from.sequence.0, epoch = ?from.epoch, "starting over");
                    self.replica.start_over(from, &*self.random).await?;
                    self.trusted = true;
                }
                Step::Catalog(catalog) => self.replica.set_catalog(catalog),
                Step::Append(entries, position) => self.replica.append(&entries, position).await?,
                Step::Heartbeat(heartbeat) => {
                    self.take_in(heartbeat)?;
                    if began.elapsed() >= STEADY {
                        backoff.reset();
                    }
                }
            }
        }
    }

    /// A heartbeat proves what it says for the moment of its probe, by this instance's own clock.
    fn take_in(&self, heartbeat: Heartbeat) -> Result<(), ProtocolError> {
        let (instant, wall) = (Instant::now(), self.clock.now());
        let asked = self.epoch.checked_add(heartbeat.probe_at).filter(|asked| *asked <= instant);
        let asked = asked.ok_or(ProtocolError::UnaskedHeartbeat)?;
        let asked = Moment { instant: asked, wall: wall.before(instant.duration_since(asked)) };
        let skew = skew(asked.wall, heartbeat.now, wall);
        self.replica.heartbeat(heartbeat.head, asked, skew);
        match skew {
            None if self.replica.swept_ahead_of(wall) => Err(ProtocolError::ClockWentBack),
            None | Some(_) => Ok(()),
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, tonic::Status>>) -> Result<T, SyncError> {
    match timeout(SILENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(Elapsed { .. }) => Err(SyncError::Silent),
    }
}

/// Hello, then a probe each second, and the position whenever it has become durable. What has not been said yet
/// when the next one comes is left out.
async fn speak(
    hello: Message,
    mut durable: watch::Receiver<Durable>,
    epoch: Instant,
    requests: mpsc::Sender<WatchRequest>,
) -> Result<Infallible, SyncError> {
    let mut probes = interval(PROBE_EVERY);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Some(hello);
    loop {
        if let Some(message) = next.take() {
            let request = WatchRequest { message: Some(message) };
            requests.send(request).await.map_err(|_| SyncError::Ended)?;
        }
        tokio::select! {
            changed = durable.changed() => {
                changed.map_err(|_| SyncError::Ended)?;
                let applied = *durable.borrow_and_update();
                next = applied.map(|(_, sequence)| Message::Applied(Applied { sequence: sequence.0 }));
            }
            _ = probes.tick() => next = Some(Message::Probe(probe(epoch.elapsed()))),
        }
    }
}

/// Rounded down: an answer must not seem to have been asked for later than it was.
fn probe(since_epoch: Duration) -> Probe {
    Probe { at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX) }
}

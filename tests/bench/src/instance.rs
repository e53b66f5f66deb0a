//! An authz instance that keeps the log in memory, and notes when it has heard of an entry.

use std::time::{Duration, Instant};

use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::watch_request::Message as Outgoing;
use portcullis_proto::v1::watch_response::Message as Incoming;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::START;

/// How often an instance asks how far the log is.
const PROBE: Duration = Duration::from_secs(1);

/// One of them, on a connection of its own. Ends when its control plane does.
#[derive(Debug)]
pub struct Instance(watch::Receiver<(u64, Instant)>);

// === impl Instance ===

impl Instance {
    /// Connects, and waits until it has been told where the log begins.
    pub async fn start(control_plane: String, number: usize) -> Self {
        let endpoint = Endpoint::from_shared(control_plane).unwrap().connect_timeout(START).tcp_nodelay(true);
        let mut client = ReplicaClient::new(endpoint.connect().await.unwrap());
        let (requests, receiver) = mpsc::channel(16);
        let hello =
            v1::Hello { instance: format!("simulated-{number}"), position: None, max_staleness_ms: 60_000 };
        say(&requests, Outgoing::Hello(hello)).await;
        let mut responses = client.watch(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        while !matches!(responses.message().await.unwrap().unwrap().message, Some(Incoming::Catalog(_))) {}
        let (publish, applied) = watch::channel((0, Instant::now()));
        tokio::spawn(async move {
            let mut probes = tokio::time::interval(PROBE);
            loop {
                tokio::select! {
                    _ = probes.tick() => say(&requests, Outgoing::Probe(v1::Probe { at_ms: 0 })).await,
                    response = responses.message() => {
                        let Ok(Some(response)) = response else { return };
                        if let Some(Incoming::Entries(entries)) = response.message {
                            let sequence = entries.entries.last().unwrap().sequence;
                            publish.send_replace((sequence, Instant::now()));
                            say(&requests, Outgoing::Applied(v1::Applied { sequence })).await;
                        }
                    }
                }
            }
        });
        Self(applied)
    }

    /// When it heard of this entry or of a later one. Panics where it is cut off before.
    pub async fn applied(&mut self, sequence: u64) -> Instant {
        self.0.wait_for(|(applied, _)| *applied >= sequence).await.unwrap().1
    }
}

/// Says something to a control plane, unless it is not there any more: that shows where answers are waited for.
async fn say(requests: &mpsc::Sender<v1::WatchRequest>, message: Outgoing) {
    let _ = requests.send(v1::WatchRequest { message: Some(message) }).await;
}

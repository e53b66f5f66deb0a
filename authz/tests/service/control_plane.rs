//! A control plane that does what the test tells it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_authz::metrics::Metrics;
use portcullis_proto::ids::{Sequence, TokenId};
use portcullis_proto::mesh::{self, Identity};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::{Clock, SystemClock, Timestamp};
use portcullis_proto::v1::replica_server::{Replica, ReplicaServer};
use portcullis_proto::v1::resolve_response::Outcome;
use portcullis_proto::v1::watch_response::Message;
use portcullis_proto::v1::{self, watch_request};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use crate::log::Log;

/// How long anything may take that should happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Its gRPC server, and what it answers.
pub(crate) struct ControlPlane {
    pub(crate) address: SocketAddr,
    /// Of its connections.
    pub(crate) metrics: Arc<Metrics>,
    shared: Arc<Shared>,
    streams: mpsc::Receiver<WatchStream>,
    runtime: Option<Runtime>,
}

struct Shared {
    answers: Mutex<HashMap<TokenId, Outcome>>,
    /// Questions that have arrived.
    asked: AtomicUsize,
    /// From which address the last one came, and the last stream.
    peers: Mutex<(Option<SocketAddr>, Option<SocketAddr>)>,
    /// Each answer takes a permit to be sent.
    gate: Semaphore,
    streams: mpsc::Sender<WatchStream>,
}

/// One instance's Watch stream, seen from the control plane.
pub(crate) struct WatchStream {
    pub(crate) hello: v1::Hello,
    pub(crate) log: Log,
    /// The latest probe that was read.
    probe: Option<v1::Probe>,
    /// The latest acknowledgement that was read.
    acknowledged: Option<Sequence>,
    requests: Streaming<v1::WatchRequest>,
    responses: mpsc::Sender<Result<v1::WatchResponse, Status>>,
}

// === impl ControlPlane ===

impl ControlPlane {
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    /// With TLS, where it has an identity.
    pub(crate) fn with(identity: Option<Arc<Identity>>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, streams) = mpsc::channel(16);
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            asked: AtomicUsize::new(0),
            peers: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            streams: sender,
        });
        let metrics = Arc::new(Metrics::default());
        let observer = metrics.clone();
        let service = ReplicaServer::from_arc(shared.clone());
        // A runtime of its own, so that it can be gone with every connection.
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap());
            let server = Server::builder().add_service(service);
            let ended = match identity {
                // Of these, tonic knows the address.
                None => server.serve_with_incoming(incoming).await,
                Some(_) => server.serve_with_incoming(mesh::connections(incoming, identity, observer)).await,
            };
            ended.unwrap();
        });
        Self { address, metrics, shared, streams, runtime: Some(runtime) }
    }

    /// From now on, answers for this token like this.
    pub(crate) fn answer(&self, id: TokenId, outcome: Outcome) {
        self.shared.answers.lock().unwrap().insert(id, outcome);
    }

    /// From now on, knows this token.
    pub(crate) fn knows(&self, record: &TokenRecord) {
        self.answer(record.token, Outcome::Record(record.clone().into()));
    }

    /// Whether some instance has opened a stream that was not accepted.
    pub(crate) fn has_stream(&self) -> bool {
        !self.streams.is_empty()
    }

    /// How many questions have arrived.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// The other ends of the connections over which the last question came, and the last stream.
    pub(crate) fn peers(&self) -> [SocketAddr; 2] {
        let (question, stream) = *self.shared.peers.lock().unwrap();
        [question.unwrap(), stream.unwrap()]
    }

    /// Holds answers back. What the answer is, is settled when the question arrives.
    pub(crate) fn hold(&self) {
        self.shared.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets answers go.
    pub(crate) fn release(&self) {
        self.shared.gate.add_permits(1_000_000);
    }

    /// Waits until so many questions have arrived.
    pub(crate) async fn wait_asked(&self, count: usize) {
        eventually("questions arrive", async || self.asked() >= count).await;
    }

    /// The next stream that an instance opens.
    pub(crate) async fn accept(&mut self) -> WatchStream {
        timeout(SOON, self.streams.recv()).await.expect("no instance connects").unwrap()
    }

    /// The next stream, brought up to date: from `log`, with the catalog, and a heartbeat.
    pub(crate) async fn catch_up(&mut self, log: Log) -> WatchStream {
        let mut stream = self.accept().await;
        stream.log = log;
        if stream.hello.position != Some(log.0.into()) {
            stream.start_over().await;
        }
        stream.catalog().await;
        stream.heartbeat().await;
        stream
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[tonic::async_trait]
impl Replica for Shared {
    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        self.peers.lock().unwrap().0 = request.remote_addr();
        let id = TokenId::from_slice(&request.get_ref().token_id).unwrap();
        let outcome = self.answers.lock().unwrap().get(&id).cloned();
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let outcome = outcome.unwrap_or(Outcome::Unknown(v1::Unknown {}));
        Ok(Response::new(v1::ResolveResponse { outcome: Some(outcome) }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.peers.lock().unwrap().1 = request.remote_addr();
        let mut requests = request.into_inner();
        let Some(watch_request::Message::Hello(hello)) = requests.message().await?.unwrap().message else {
            return Err(Status::invalid_argument("no Hello"));
        };
        let (responses, stream) = mpsc::channel(16);
        let (log, probe, acknowledged) = (Log::new(1), None, None);
        let watch = WatchStream { hello, log, probe, acknowledged, requests, responses };
        self.streams.send(watch).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

// === impl WatchStream ===

impl WatchStream {
    pub(crate) async fn send(&self, message: Message) {
        self.responses.send(Ok(v1::WatchResponse { message: Some(message) })).await.unwrap();
    }

    pub(crate) async fn start_over(&mut self) {
        self.acknowledged = None; // what is acknowledged now belongs to the log before
        self.send(Message::StartOver(v1::StartOver { from: Some(self.log.0.into()) })).await;
    }

    /// Two servers: `demo` and `other`.
    pub(crate) async fn catalog(&self) {
        self.catalog_with(|_| {}).await;
    }

    /// The same, with something else about `demo`.
    pub(crate) async fn catalog_with(&self, change: impl FnOnce(&mut v1::CatalogServer)) {
        let server = |name: &str| v1::CatalogServer {
            name: name.to_owned(),
            resource: format!("https://mcp.example.com/{name}"),
            resource_metadata: format!("https://mcp.example.com/.well-known/oauth-protected-resource/{name}"),
            scopes: vec!["openid".to_owned(), "tools".to_owned()],
            required_scopes: vec!["tools".to_owned()],
            ..v1::CatalogServer::default()
        };
        let mut servers = vec![server("demo"), server("other")];
        change(&mut servers[0]);
        self.send(Message::Catalog(v1::Catalog { servers })).await;
    }

    /// Answers the latest probe that has come, once more where it must.
    pub(crate) async fn heartbeat(&mut self) {
        let probe_at_ms = self.probe().await;
        self.answer(probe_at_ms, SystemClock.now()).await;
    }

    /// The latest probe that has come.
    pub(crate) async fn probe(&mut self) -> u64 {
        while let Ok(request) = timeout(Duration::ZERO, self.requests.next()).await {
            self.note(request.expect("the stream ended").unwrap());
        }
        loop {
            if let Some(probe) = self.probe {
                return probe.at_ms;
            }
            self.hear().await;
        }
    }

    /// Answers a probe, by a clock that says `now`.
    pub(crate) async fn answer(&self, probe_at_ms: u64, now: Timestamp) {
        let head = Some(self.log.0.into());
        let heartbeat = v1::Heartbeat { head, probe_at_ms, now_ms: now.as_millis() };
        self.send(Message::Heartbeat(heartbeat)).await;
    }

    /// Appends an entry to the log and sends it.
    pub(crate) async fn revoke(&mut self, scope: Scope) {
        let entry = self.log.append(scope);
        self.entries(vec![entry]).await;
    }

    pub(crate) async fn entries(&self, entries: Vec<Entry>) {
        let entries = entries.into_iter().map(Into::into).collect();
        self.send(Message::Entries(v1::Entries { entries })).await;
    }

    /// Waits for the instance to acknowledge the log's head.
    pub(crate) async fn applied(&mut self) {
        self.applied_at(self.log.0.sequence).await;
    }

    /// Waits for the instance to acknowledge this entry, and nothing beyond it.
    pub(crate) async fn applied_at(&mut self, sequence: Sequence) {
        while self.acknowledged.is_none_or(|acknowledged| acknowledged < sequence) {
            self.hear().await;
        }
        assert_eq!(self.acknowledged, Some(sequence));
    }

    /// Waits for the instance to say something.
    async fn hear(&mut self) {
        let request = timeout(SOON, self.requests.next()).await.expect("the instance says nothing");
        self.note(request.expect("the stream ended").unwrap());
    }

    fn note(&mut self, request: v1::WatchRequest) {
        match request.message {
            Some(watch_request::Message::Applied(applied)) => {
                self.acknowledged = Some(Sequence(applied.sequence));
            }
            Some(watch_request::Message::Probe(probe)) => self.probe = Some(probe),
            other => panic!("neither Applied nor Probe: {other:?}"),
        }
    }

    /// Waits until the instance says nothing more on this stream.
    pub(crate) async fn ended(&mut self) {
        let ended = async { while let Some(Ok(_)) = self.requests.next().await {} };
        timeout(SOON, ended).await.expect("the instance goes on speaking on a stream that it has given up");
    }
}

/// Polls until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let polled = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, polled).await.unwrap_or_else(|_| panic!("it does not happen that {what}"));
}

//! The service under test, and a client in Envoy's place.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use portcullis_authz::check::Checker;
use portcullis_authz::config::Config;
use portcullis_authz::metrics::Metrics;
use portcullis_authz::replica::Replica;
use portcullis_authz::replica::resolve::Resolver;
use portcullis_authz::replica::store::Store;
use portcullis_authz::replica::sync::Sync;
use portcullis_authz::{Listeners, RunError, run};
use portcullis_proto::ids::InstanceName;
use portcullis_proto::mesh::Settings;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::{Clock, SystemClock};
use portcullis_proto::token::{Access, Token};
use portcullis_proto::v1::replica_client::ReplicaClient;
use prost::Message;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::control_plane::{ControlPlane, Log, WatchStream, eventually};
pub(crate) use crate::tokens::{another, issue, record_with};

/// A running instance.
pub(crate) struct Service {
    pub(crate) grpc: SocketAddr,
    pub(crate) client: AuthorizationClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) ops: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    ended: JoinHandle<Result<(), RunError>>,
}

/// What Envoy would do with the request.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The HTTP status; 200 where the request goes through.
    pub(crate) status: i32,
    /// Of the request where it goes through, else of the response.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) removed: Vec<String>,
    pub(crate) metadata: HashMap<String, String>,
}

/// An instance that has caught up with an empty log, and what it hangs on.
pub(crate) struct World {
    pub(crate) control: ControlPlane,
    pub(crate) stream: WatchStream,
    pub(crate) service: Service,
    pub(crate) directory: TempDir,
}

/// The request path alone, without Envoy's gRPC around it; caught up with an empty log.
pub(crate) struct Local {
    pub(crate) checker: Arc<Checker>,
    pub(crate) control: ControlPlane,
    /// Ends when it is dropped.
    _stream: WatchStream,
    sync: JoinHandle<()>,
}

// === impl Local ===

impl Local {
    pub(crate) async fn new(store: &Path) -> Self {
        let mut control = ControlPlane::start();
        let (store, loaded) = Store::open(store, 1000).unwrap();
        let replica = Arc::new(Replica::new(store, &loaded, Duration::from_mins(1), &SystemRandom));
        let channel = Endpoint::from_shared(format!("http://{}", control.address)).unwrap().connect_lazy();
        let client = ReplicaClient::new(channel);
        let metrics = Arc::new(Metrics::default());
        let resolver = Arc::new(Resolver::new(client.clone(), replica.clone(), metrics.clone()));
        let checker = Arc::new(Checker::new(replica.clone(), resolver, Arc::new(SystemClock), metrics));
        let sync = Sync::new(
            replica.clone(),
            client,
            InstanceName::new("local"),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
        );
        let sync = tokio::spawn(async { drop(sync.run().await) });
        let stream = control.catch_up(Log::new(1)).await;
        eventually("the replica is ready", async || replica.ready(SystemClock.now()).is_ok()).await;
        Self { checker, control, _stream: stream, sync }
    }
}

/// Asks as Envoy does, and understands the answer as Envoy does.
pub(crate) async fn check(checker: &Checker, request: &CheckRequest) -> Verdict {
    let request = Message::decode(request.encode_to_vec().as_slice()).unwrap();
    let response = checker.check(&request).await;
    Verdict::from(CheckResponse::decode(response.as_bytes()).unwrap())
}

impl Drop for Local {
    fn drop(&mut self) {
        self.sync.abort();
    }
}

// === impl World ===

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_staleness(Duration::from_mins(1)).await
    }

    pub(crate) async fn with_staleness(max_staleness: Duration) -> Self {
        let mut control = ControlPlane::start();
        let directory = TempDir::new().unwrap();
        let service = Service::start(config(&control, directory.path(), max_staleness)).await;
        let stream = control.catch_up(Log::new(1)).await;
        service.ready().await;
        Self { control, stream, service, directory }
    }
}

// === impl Service ===

/// The configuration of an instance; it listens elsewhere.
pub(crate) fn config(control: &ControlPlane, store: &Path, max_staleness: Duration) -> Config {
    let anywhere = "127.0.0.1:0".parse().unwrap();
    Config {
        listen: anywhere,
        ops: anywhere,
        control_plane: format!("http://{}", control.address).parse().unwrap(),
        mesh: Settings::Loopback,
        store: store.to_owned(),
        max_staleness,
        instance: InstanceName::new("edge-1"),
        max_records: 1000,
        threads: NonZeroUsize::MIN,
    }
}

impl Service {
    pub(crate) async fn start(config: Config) -> Self {
        let listeners = Listeners {
            grpc: TcpListener::bind(config.listen).await.unwrap(),
            ops: TcpListener::bind(config.ops).await.unwrap(),
        };
        let (grpc, ops) = (listeners.grpc.local_addr().unwrap(), listeners.ops.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(run(config, listeners, shutdown.clone()));
        let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap().connect_lazy();
        Self { grpc, client: AuthorizationClient::new(channel.clone()), channel, ops, shutdown, ended }
    }

    /// Asks about a request to `demo` with this token.
    pub(crate) async fn check(&self, token: &Token<Access>) -> Verdict {
        self.ask("demo", Some(&format!("Bearer {}", token.expose()))).await
    }

    pub(crate) async fn ask(&self, server: &str, authorization: Option<&str>) -> Verdict {
        let request = request(server, authorization);
        Verdict::from(self.client.clone().check(request).await.unwrap().into_inner())
    }

    /// What gRPC health says of the service, and of the whole process.
    pub(crate) async fn serving(&self) -> [bool; 2] {
        let mut client = HealthClient::new(self.channel.clone());
        let mut serving = [false; 2];
        for (service, serving) in ["envoy.service.auth.v3.Authorization", ""].iter().zip(&mut serving) {
            let request = HealthCheckRequest { service: (*service).to_owned() };
            let status = client.check(request).await.unwrap().into_inner().status;
            *serving = status == ServingStatus::Serving as i32;
        }
        serving
    }

    pub(crate) async fn ready(&self) {
        eventually("the instance is ready", async || self.serving().await == [true; 2]).await;
    }

    /// Status line and body of a GET to the operators' address.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.ops).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    /// Tells the service to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), RunError> {
        self.shutdown.cancel();
        self.ended().await
    }

    /// Waits until the service ends.
    pub(crate) async fn ended(self) -> Result<(), RunError> {
        drop((self.client, self.channel));
        self.ended.await.unwrap()
    }
}

/// Envoy's question.
pub(crate) fn request(server: &str, authorization: Option<&str>) -> CheckRequest {
    let headers = authorization.map(|value| ("authorization".to_owned(), value.to_owned()));
    let http = HttpRequest { headers: headers.into_iter().collect(), ..HttpRequest::default() };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request { http: Some(http), ..Request::default() }),
            context_extensions: HashMap::from([("server".to_owned(), server.to_owned())]),
            ..AttributeContext::default()
        }),
    }
}

// === impl Verdict ===

impl Verdict {
    /// What is allowed in the usual way has none in its metadata.
    pub(crate) fn reason(&self) -> &str {
        match self.metadata.get("reason") {
            Some(reason) => reason,
            None if self.metadata["decision"] == "allow" => "allowed",
            None => panic!("a denial without a reason"),
        }
    }

    /// Status and reason, to compare.
    pub(crate) fn short(&self) -> (i32, &str) {
        (self.status, self.reason())
    }
}

/// As Envoy understands it.
impl From<CheckResponse> for Verdict {
    fn from(response: CheckResponse) -> Self {
        let code = response.status.as_ref().map_or(0, |status| status.code);
        let text = |kind| match kind {
            Some(Kind::StringValue(text)) => text,
            other => panic!("not a string: {other:?}"),
        };
        let metadata = response.dynamic_metadata.unwrap_or_default().fields.into_iter();
        let metadata = metadata.map(|(name, value)| (name, text(value.kind))).collect();
        match (code, response.http_response) {
            (0, Some(HttpResponse::OkResponse(ok))) => {
                Self { status: 200, headers: values(ok.headers), removed: ok.headers_to_remove, metadata }
            }
            (1.., Some(HttpResponse::DeniedResponse(denied))) => Self {
                status: denied.status.unwrap().code,
                headers: values(denied.headers),
                removed: Vec::new(),
                metadata,
            },
            other => panic!("Envoy would do something unexpected: {other:?}"),
        }
    }
}

fn values(headers: Vec<HeaderValueOption>) -> HashMap<String, String> {
    let pairs = headers.into_iter().filter_map(|option| option.header);
    pairs.map(|header| (header.key, header.value)).collect()
}

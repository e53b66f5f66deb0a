//! A running control plane.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_control_plane::app::{App, Parts};
use portcullis_control_plane::client_document::{GuardedWeb, Policy};
use portcullis_control_plane::config::Config;
use portcullis_control_plane::keys::MasterKeys;
use portcullis_control_plane::run::{Listeners, run};
use portcullis_control_plane::start::{LostSigningKeys, open_signer};
use portcullis_control_plane::store::Store;
use portcullis_control_plane::store::sled::SledStore;
use portcullis_proto::ids::{ClientId, ServerName};
use portcullis_proto::mesh::Role;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::time::{Clock, ManualClock, SystemClock, Timestamp};
use portcullis_proto::token::{Access, Presented};
use portcullis_proto::v1::admin_client::AdminClient;
use portcullis_proto::v1::replica_client::ReplicaClient;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::support::{self, LoggedIn, Login};

/// Long enough for anything on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A running control plane. Its clock moves only when it is told to.
pub(crate) struct Plane {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) ops: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<io::Result<()>>,
    _home: TempDir,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    /// With something else in its configuration.
    pub(crate) async fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut config = support::config(home.path());
        change(&mut config);
        let keys = MasterKeys::open(&config.keys, &SystemRandom, NOW).unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SledStore::open(&home.path().join("store"), &SystemRandom).unwrap());
        let clock = Arc::new(ManualClock::at(NOW));
        let listeners = Listeners::bind(&config.listen).await.unwrap();
        let [http, grpc, ops] =
            [&listeners.http, &listeners.grpc, &listeners.ops].map(|listener| listener.local_addr().unwrap());
        let identity = config.mesh.open(Role::ControlPlane, SystemClock.now()).unwrap().map(Arc::new);
        let app = App::new(Parts {
            identity,
            store,
            web: Arc::new(GuardedWeb::new(&Policy::default()).unwrap()),
            providers: BTreeMap::new(),
            http: portcullis_control_plane::provider::Http::new().unwrap(),
            signer: open_signer(&config, &keys, clock.as_ref(), LostSigningKeys::Missed).unwrap(),
            config,
            keys,
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
        });
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(run(app.clone(), listeners, shutdown.clone()));
        Self { app, clock, http, grpc, ops, shutdown, running, _home: home }
    }

    /// While there is a token, no entry of the log is forgotten.
    pub(crate) async fn with_a_token() -> Self {
        let plane = Self::start().await;
        plane.log_in(Login::default()).await;
        plane
    }

    /// Which way a server's credentials are made now.
    pub(crate) fn revision(&self, server: &str) -> u64 {
        self.app.recipes.of(&ServerName::new(server)).unwrap().revision
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn replica(&self) -> ReplicaClient<Channel> {
        ReplicaClient::new(self.channel().await)
    }

    pub(crate) async fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel().await)
    }

    pub(crate) async fn log_in(&self, login: Login<'_>) -> LoggedIn {
        support::log_in(&*self.app.store, &self.app.keys, login, self.app.now()).await
    }

    /// Revokes something that need not exist.
    pub(crate) async fn append(&self, client: &str) -> Entry {
        self.app.revoke(Scope::Client(ClientId::new(client)), "test").await.unwrap()
    }

    pub(crate) fn head(&self) -> Position {
        *self.app.store.head().borrow()
    }

    /// The names in the list of instances.
    pub(crate) fn connected(&self) -> Vec<String> {
        self.app.instances.list().into_iter().map(|instance| instance.name.into()).collect()
    }

    /// The whole answer to a GET request.
    pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        in_time(stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }
}

/// The token as its holder presents it.
pub(crate) fn presented(login: &LoggedIn) -> Presented<'_, Access> {
    Presented::parse(&login.token).unwrap()
}

/// What comes of `future`, which must not take long.
#[track_caller]
pub(crate) fn in_time<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let Ok(output) = tokio::time::timeout(PATIENCE, future).await else {
            panic!("{caller}: nothing came");
        };
        output
    }
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    in_time(async move {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

/// Moves tokio's clock second by second, with time for what that brings, until there is an answer. Gives the
/// seconds that passed. The clock is not left paused: a paused one jumps ahead while a socket is waited for.
pub(crate) async fn pass_until<F: Future + Unpin>(mut future: F) -> (u32, F::Output) {
    for second in 0..60 {
        if let Ok(output) = tokio::time::timeout(Duration::from_millis(20), &mut future).await {
            return (second, output);
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::time::resume();
    }
    panic!("nothing came in a minute");
}

//! The control plane, in this process.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use portcullis_control_plane::app::{App, Parts};
use portcullis_control_plane::client_document::{GuardedWeb, Policy};
use portcullis_control_plane::keys::MasterKeys;
use portcullis_control_plane::run;
use portcullis_control_plane::store::sled::SledStore;
use portcullis_proto::ids::Sequence;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::{Clock, ManualClock};
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::{self, LoggedIn, Login};

pub(crate) struct Plane {
    pub(crate) app: Arc<App>,
    /// Takes connections.
    pub(crate) connections: mpsc::Sender<io::Result<DuplexStream>>,
    _home: TempDir,
}

// === impl Plane ===

impl Plane {
    pub(crate) fn start(clock: &Arc<ManualClock>) -> Self {
        let home = TempDir::new().unwrap();
        let config = support::config(home.path());
        let app = App::new(Parts {
            identity: None,
            keys: MasterKeys::open(&config.keys, &SystemRandom, clock.now()).unwrap(),
            store: Arc::new(SledStore::open(&home.path().join("store"), &SystemRandom).unwrap()),
            config,
            signer: None,
            web: Arc::new(GuardedWeb::new(&Policy::default()).unwrap()),
            providers: BTreeMap::new(),
            http: portcullis_control_plane::provider::Http::new().unwrap(),
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
        });
        let (connections, incoming) = mpsc::channel(16);
        let server = run::grpc(&app, TaskTracker::new(), CancellationToken::new());
        tokio::spawn(server.serve_with_incoming(ReceiverStream::new(incoming)));
        Self { app, connections, _home: home }
    }

    pub(crate) async fn log_in(&self, login: Login<'_>) -> LoggedIn {
        support::log_in(&*self.app.store, &self.app.keys, login, self.app.now()).await
    }

    /// The log's last entry.
    pub(crate) fn head(&self) -> Sequence {
        self.app.store.head().borrow().sequence
    }

    /// The names of the instances that it takes for connected.
    pub(crate) fn connected(&self) -> Vec<String> {
        self.app.instances.list().into_iter().map(|instance| instance.name.into()).collect()
    }
}

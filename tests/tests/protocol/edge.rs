//! An authz instance, in this process.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use portcullis_authz::check::Checker;
use portcullis_authz::metrics::Metrics;
use portcullis_authz::replica::Replica;
use portcullis_authz::replica::resolve::Resolver;
use portcullis_authz::replica::store::{Durable, Store, Sweep};
use portcullis_authz::replica::sync::Sync;
use portcullis_proto::ids::{InstanceName, Sequence};
use portcullis_proto::random::Random;
use portcullis_proto::time::{Clock, ManualClock, Timestamp};
use portcullis_proto::v1::replica_client::ReplicaClient;
use prost::Message;
use tempfile::TempDir;
use tokio::task::{JoinHandle, unconstrained};

use crate::dice::Dice;
use crate::wire::Wire;

/// Without word from the control plane for so long, an instance stops deciding.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(10);
const MAX_RECORDS: usize = 1000;

pub(crate) struct Edge {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) replica: Arc<Replica>,
    pub(crate) checker: Arc<Checker>,
    sync: JoinHandle<()>,
    /// What has been written, as far as everybody has been told of it.
    heard: Cell<Durable>,
    directory: TempDir,
    clock: Arc<ManualClock>,
    dice: Arc<Dice>,
}

// === impl Edge ===

impl Edge {
    pub(crate) fn start(name: String, wire: Wire, clock: &Arc<ManualClock>, dice: Arc<Dice>) -> Self {
        Self::open(name, wire, clock.clone(), dice, TempDir::new().unwrap())
    }

    fn open(name: String, wire: Wire, clock: Arc<ManualClock>, dice: Arc<Dice>, directory: TempDir) -> Self {
        let (store, loaded) = Store::open(directory.path(), MAX_RECORDS).unwrap();
        let random: Arc<dyn Random> = dice.clone();
        let replica = Arc::new(Replica::new(store, &loaded, MAX_STALENESS, &*random));
        let endpoint = portcullis_authz::endpoint("http://control-plane:8081".parse().unwrap());
        let client = ReplicaClient::new(wire.channel(&endpoint));
        let metrics = Arc::new(Metrics::default());
        let resolver = Arc::new(Resolver::new(client.clone(), replica.clone(), metrics.clone()));
        let checker = Arc::new(Checker::new(replica.clone(), resolver, clock.clone(), metrics));
        let sync = Sync::new(replica.clone(), client, InstanceName::new(name.clone()), clock.clone(), random);
        let sync = tokio::spawn(async { drop(sync.run().await) });
        Self { name, wire, replica, checker, sync, heard: Cell::new(None), directory, clock, dice }
    }

    /// Is killed when nothing waits to be written, and comes back with the files as they were at that moment.
    pub(crate) async fn kill(&mut self) {
        self.write_nothing().await;
        self.sync.abort();
        let (name, wire) = (self.name.clone(), self.wire.clone());
        let directory = copied(self.directory.path());
        *self = Self::open(name, wire, self.clock.clone(), self.dice.clone(), directory);
    }

    /// The last entry in force.
    pub(crate) fn applied(&self) -> Sequence {
        self.replica.figures(self.clock.now()).applied
    }

    /// The last entry that it would have if it were killed now, and had the files as they are.
    pub(crate) fn on_disk(&self) -> Sequence {
        let directory = copied(self.directory.path());
        let (_, loaded) = Store::open(directory.path(), MAX_RECORDS).unwrap();
        loaded.position.map_or(Sequence(0), |(_, position)| position.sequence)
    }

    /// Nothing waits to be written, and everybody has been told of what was.
    pub(crate) fn is_quiet(&self) -> bool {
        let durable = self.durable();
        durable == self.heard.get() && durable.map_or(Sequence(0), |(_, sequence)| sequence) == self.applied()
    }

    /// Waits until everybody has been told of what has been written: a value shows before those are woken who
    /// wait for it. A write that changes nothing comes behind both.
    pub(crate) async fn hear_of_writes(&self) {
        let durable = self.durable();
        if durable != self.heard.get() {
            self.write_nothing().await;
            self.heard.set(durable);
        }
    }

    /// Comes back when everything before has been written.
    async fn write_nothing(&self) {
        self.replica.store().sweep(Sweep::Entries, Timestamp::default(), None).await.unwrap();
    }

    fn durable(&self) -> Durable {
        *self.replica.store().durable().borrow()
    }

    /// The status of the answer to a request, where it needs to ask nobody; 200 lets it through.
    pub(crate) fn decide(&self, server: &str, token: &str) -> Option<i32> {
        let decided = pin!(unconstrained(status(&self.checker, server, token)));
        match decided.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(status) => Some(status),
            Poll::Pending => None,
        }
    }
}

/// The status of the answer to a request; 200 lets it through.
pub(crate) async fn status(checker: &Checker, server: &str, token: &str) -> i32 {
    let headers = HashMap::from([("authorization".to_owned(), format!("Bearer {token}"))]);
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(HttpRequest { headers, ..HttpRequest::default() }),
                ..Request::default()
            }),
            context_extensions: HashMap::from([("server".to_owned(), server.to_owned())]),
            ..AttributeContext::default()
        }),
    };
    let request = Message::decode(request.encode_to_vec().as_slice()).unwrap();
    let response = CheckResponse::decode(checker.check(&request).await.as_bytes()).unwrap();
    match response.http_response {
        Some(HttpResponse::OkResponse(_)) => 200,
        Some(HttpResponse::DeniedResponse(denied)) => denied.status.unwrap().code,
        other => panic!("{other:?}"),
    }
}

fn copied(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    copy(from, to.path());
    to
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

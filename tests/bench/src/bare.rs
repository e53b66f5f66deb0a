//! The least that tells a thousand instances of a revocation: tonic, and a channel of which each stream has an end.
//! Nothing is checked, kept, or waited for.

use std::net::SocketAddr;
use std::sync::Mutex;

use portcullis_proto::v1;
use portcullis_proto::v1::admin_server::{Admin, AdminServer};
use portcullis_proto::v1::replica_server::{Replica, ReplicaServer};
use portcullis_proto::v1::watch_request::Message as Asked;
use portcullis_proto::v1::watch_response::Message as Told;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// Entries that a stream may be behind.
const QUEUE: usize = 1_024;

/// Serves until the process ends.
pub async fn serve(address: SocketAddr) {
    let (entries, _) = broadcast::channel(QUEUE);
    let replica = ReplicaServer::new(FanOut(entries.clone()));
    let admin = AdminServer::new(Trigger { entries, sequence: Mutex::default() });
    Server::builder().tcp_nodelay(true).add_service(replica).add_service(admin).serve(address).await.unwrap();
}

/// Instances' side.
struct FanOut(broadcast::Sender<v1::Entry>);

/// The operator's side.
struct Trigger {
    entries: broadcast::Sender<v1::Entry>,
    sequence: Mutex<u64>,
}

// === impl FanOut ===

#[tonic::async_trait]
impl Replica for FanOut {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (mut incoming, mut entries) = (request.into_inner(), self.0.subscribe());
        let (queue, responses) = mpsc::channel(16);
        tokio::spawn(async move {
            let mut told = Told::Catalog(v1::Catalog::default());
            while queue.send(Ok(v1::WatchResponse { message: Some(told) })).await.is_ok() {
                told = tokio::select! {
                    entry = entries.recv() => match entry {
                        Ok(entry) => Told::Entries(v1::Entries { entries: vec![entry] }),
                        Err(_) => return,
                    },
                    heartbeat = heartbeat(&mut incoming) => match heartbeat {
                        Some(heartbeat) => Told::Heartbeat(heartbeat),
                        None => return,
                    },
                };
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }

    async fn resolve(&self, _: Request<v1::ResolveRequest>) -> Result<Response<v1::ResolveResponse>, Status> {
        Err(Status::unimplemented("nothing is kept here"))
    }
}

/// What answers the next probe, whatever else is said before it.
async fn heartbeat(incoming: &mut Streaming<v1::WatchRequest>) -> Option<v1::Heartbeat> {
    loop {
        if let Some(Asked::Probe(probe)) = incoming.message().await.ok()??.message {
            return Some(v1::Heartbeat { probe_at_ms: probe.at_ms, ..v1::Heartbeat::default() });
        }
    }
}

// === impl Trigger ===

#[tonic::async_trait]
impl Admin for Trigger {
    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let scope = request.into_inner().scope;
        let mut last = self.sequence.lock().unwrap();
        *last += 1;
        let _ = self.entries.send(v1::Entry { sequence: *last, scope, ..v1::Entry::default() });
        Ok(Response::new(v1::RevokeResponse { sequence: *last, ..v1::RevokeResponse::default() }))
    }

    async fn list_grants(
        &self,
        _: Request<v1::ListGrantsRequest>,
    ) -> Result<Response<v1::ListGrantsResponse>, Status> {
        Err(Status::unimplemented("nothing is kept here"))
    }

    async fn list_clients(
        &self,
        _: Request<v1::ListClientsRequest>,
    ) -> Result<Response<v1::ListClientsResponse>, Status> {
        Err(Status::unimplemented("nothing is kept here"))
    }

    async fn list_instances(
        &self,
        _: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        Err(Status::unimplemented("nothing is kept here"))
    }

    async fn list_keys(
        &self,
        _: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        Err(Status::unimplemented("nothing is kept here"))
    }

    async fn rotate_keys(
        &self,
        _: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::RotateKeysResponse>, Status> {
        Err(Status::unimplemented("nothing is kept here"))
    }

    async fn forget_key(
        &self,
        _: Request<v1::ForgetKeyRequest>,
    ) -> Result<Response<v1::ForgetKeyResponse>, Status> {
        Err(Status::unimplemented("nothing is kept here"))
    }
}

//! Servers that allow everything: what Envoy's question costs by itself.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use envoy_types::ext_authz::v3::pb;
use portcullis_authz::ext_authz::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use portcullis_authz::metrics::Metrics;
use portcullis_authz::serve::{Mesh, serve};
use portcullis_authz::services::Services;
use portcullis_proto::mesh::{Guard, Role};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// With Envoy's messages as `envoy-types` has them, and whatever tonic and tokio do by default.
pub async fn ordinary(address: SocketAddr) {
    let server = Server::builder().add_service(pb::AuthorizationServer::new(Always));
    server.serve(address).await.unwrap();
}

/// With the messages and the threads of Portcullis.
pub async fn lean(address: SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    let mesh = Mesh { identity: None, observer: Arc::new(Metrics::default()) };
    let guard = Guard::new(false, Role::Edge, mesh.observer.clone());
    let services = Services::new(AuthorizationServer::new(Always), guard, Routes::default());
    serve(listener, services, NonZeroUsize::MIN, mesh, &CancellationToken::new()).await.unwrap();
}

struct Always;

#[tonic::async_trait]
impl pb::Authorization for Always {
    async fn check(&self, _: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        use envoy_types::ext_authz::v3::CheckResponseExt;
        Ok(Response::new(pb::CheckResponse::with_status(Status::ok(""))))
    }
}

#[tonic::async_trait]
impl Authorization for Always {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse::ok([].into_iter(), [].into_iter(), [].into_iter())))
    }
}

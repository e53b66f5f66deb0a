//! Servers that allow everything: what Envoy's question costs by itself.

use std::net::SocketAddr;
use std::sync::Arc;

use envoy_types::ext_authz::v3::pb;
use portcullis_authz::ext_authz::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use portcullis_authz::metrics::Metrics;
use portcullis_authz::services::Services;
use portcullis_proto::mesh::{Guard, Observer, Role, connections};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::pieces::Pieces;

/// With Envoy's messages as `envoy-types` has them, and whatever tonic and tokio do by default.
pub async fn ordinary(address: SocketAddr) {
    let server = Server::builder().add_service(pb::AuthorizationServer::new(Always));
    server.serve(address).await.unwrap();
}

/// With the messages of Portcullis and one thread, on tonic's own server. It says no more than that a request may go on; or,
/// with `full`, all that Portcullis says, the same each time.
pub async fn lean(address: SocketAddr, full: bool) {
    let listener = TcpListener::bind(address).await.unwrap();
    let observer: Arc<dyn Observer> = Arc::new(Metrics::default());
    let answer = if full {
        Pieces::new(0).answer()
    } else {
        CheckResponse::ok([].into_iter(), [].into_iter(), [].into_iter())
    };
    let guard = Guard::new(false, Role::Edge, observer.clone());
    let services = Services::new(AuthorizationServer::new(Same(answer)), guard, Routes::default());
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        let stream = stream?;
        stream.set_nodelay(true)?;
        Ok(stream)
    });
    let incoming = connections(incoming, None, observer);
    Server::builder().serve_with_incoming(services, incoming).await.unwrap();
}

struct Always;

#[tonic::async_trait]
impl pb::Authorization for Always {
    async fn check(&self, _: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        use envoy_types::ext_authz::v3::CheckResponseExt;
        Ok(Response::new(pb::CheckResponse::with_status(Status::ok(""))))
    }
}

/// Whatever the question.
struct Same(CheckResponse);

#[tonic::async_trait]
impl Authorization for Same {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}

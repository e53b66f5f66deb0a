//! What operators ask of the control plane, without the command line.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_proto::v1::admin_client::AdminClient;
use portcullis_proto::v1::scope::Kind;
use portcullis_proto::v1::{
    GrantSummary, ListGrantsRequest, ListInstancesRequest, ListInstancesResponse, RevokeRequest,
    RevokeResponse, Scope,
};
use tonic::transport::{Channel, Endpoint};

use super::{COMMAND, Stack};

// === impl Stack ===

impl Stack {
    /// All grants, up to the first hundred.
    pub async fn grants(&self) -> Vec<GrantSummary> {
        let answer = self.admin().list_grants(ListGrantsRequest::default()).await;
        answer.expect("an answer").into_inner().grants
    }

    /// The connected authz instances.
    pub async fn instances(&self) -> ListInstancesResponse {
        let answer = self.admin().list_instances(ListInstancesRequest::default()).await;
        answer.expect("an answer").into_inner()
    }

    /// Revokes, and waits until every connected instance has applied it.
    pub async fn revoke(&self, kind: Kind) -> RevokeResponse {
        let request = RevokeRequest { scope: Some(Scope { kind: Some(kind) }), wait_ms: 0 };
        let answer = self.admin().revoke(request).await.expect("an answer").into_inner();
        assert_eq!(answer.lagging, Vec::<String>::new());
        answer
    }

    fn admin(&self) -> AdminClient<Channel> {
        admin(self.addresses.grpc, COMMAND)
    }
}

/// The control plane whose gRPC is there, for operators; it has `patience` to answer.
pub fn admin(grpc: SocketAddr, patience: Duration) -> AdminClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}")).expect("a URL");
    AdminClient::new(endpoint.timeout(patience).connect_lazy())
}

//! Asks one authz instance as Envoy does, where a test must know which of several it asks.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use http::StatusCode;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::config::SERVER;
use super::{STOP, Stack};

/// The identity header that names the grant.
const GRANT: &str = "x-portcullis-grant";

/// One authz instance, asked without the edge.
#[derive(Clone, Debug)]
pub struct Instance {
    client: AuthorizationClient<Channel>,
}

/// What an authz instance says to the bearer of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// 200, or the status it denies with.
    pub status: StatusCode,
    /// The grant behind a token that is let through.
    pub grant: Option<String>,
}

// === impl Stack ===

impl Stack {
    /// What one authz instance says to the bearer of a token: 200, or the status it denies with.
    pub async fn check(&self, instance: usize, access_token: &str) -> StatusCode {
        let instance = Instance::at(self.addresses.authz[instance], STOP);
        instance.check(access_token).await.expect("an answer").status
    }
}

// === impl Instance ===

impl Instance {
    /// The instance that listens there; it has `patience` to answer. Connects when it is first asked.
    pub fn at(listen: SocketAddr, patience: Duration) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{listen}")).expect("a URL");
        Self { client: AuthorizationClient::new(endpoint.timeout(patience).connect_lazy()) }
    }

    /// Asks about a token, as if it came with a request to the MCP server.
    pub async fn check(&self, access_token: &str) -> Result<Decision, Status> {
        let answer = self.client.clone().check(request(access_token)).await?.into_inner();
        Ok(match answer.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => {
                let code = denied.status.map_or(0, |status| status.code);
                let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
                Decision { status: status.expect("a status"), grant: None }
            }
            // An answer without a status would let everybody in: it is no permission in a test's eyes.
            Some(HttpResponse::OkResponse(ok)) if answer.status.is_some_and(|status| status.code == 0) => {
                let headers = ok.headers.into_iter().filter_map(|header| header.header);
                let grant = headers.filter(|header| header.key == GRANT).map(|header| header.value).next();
                Decision { status: StatusCode::OK, grant }
            }
            other => panic!("neither permitted nor denied: {other:?}"),
        })
    }
}

fn request(access_token: &str) -> CheckRequest {
    let headers = HashMap::from([
        (":method".to_owned(), "POST".to_owned()),
        (":path".to_owned(), "/demo/mcp".to_owned()),
        (":authority".to_owned(), "localhost".to_owned()),
        ("authorization".to_owned(), format!("Bearer {access_token}")),
    ]);
    let http = HttpRequest {
        method: "POST".to_owned(),
        path: "/demo/mcp".to_owned(),
        host: "localhost".to_owned(),
        headers,
        ..HttpRequest::default()
    };
    let attributes = AttributeContext {
        request: Some(Request { http: Some(http), ..Request::default() }),
        context_extensions: HashMap::from([("server".to_owned(), SERVER.to_owned())]),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

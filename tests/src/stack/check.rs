//! Asks one authz instance as Envoy does, where a test must know which of several it asks.

use std::collections::HashMap;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use http::StatusCode;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::config::SERVER;
use super::{STOP, Stack};

/// A connection to one authz instance, in Envoy's place.
#[derive(Clone, Debug)]
pub struct Asker(AuthorizationClient<Channel>);

// === impl Stack ===

impl Stack {
    /// What one authz instance says to the bearer of a token: 200, or the status it denies with.
    pub async fn check(&self, instance: usize, access_token: &str) -> StatusCode {
        self.asker(instance).check(access_token).await
    }

    /// Asks one authz instance as often as one likes. It connects when it is first used.
    pub fn asker(&self, instance: usize) -> Asker {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.addresses.authz[instance]));
        Asker(AuthorizationClient::new(endpoint.expect("a URL").connect_lazy()))
    }
}

// === impl Asker ===

impl Asker {
    /// What the instance says to the bearer of a token: 200, or the status it denies with.
    pub async fn check(&mut self, access_token: &str) -> StatusCode {
        let answer = timeout(STOP, self.0.check(request(access_token))).await;
        let answer = answer.expect("an answer in time").expect("an answer").into_inner();
        match answer.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => {
                let code = denied.status.map_or(0, |status| status.code);
                u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok()).expect("a status")
            }
            // An answer without a status would let everybody in: it is no permission in a test's eyes.
            Some(HttpResponse::OkResponse(_)) if answer.status.is_some_and(|status| status.code == 0) => {
                StatusCode::OK
            }
            other => panic!("neither permitted nor denied: {other:?}"),
        }
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

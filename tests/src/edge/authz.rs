//! An authz that does as the token says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use envoy_types::ext_authz::v3::pb::{
    Authorization, AuthorizationServer, CheckRequest, CheckResponse, HttpStatusCode,
};
use envoy_types::ext_authz::v3::{
    CheckRequestExt, CheckResponseExt, DeniedHttpResponseBuilder, OkHttpResponseBuilder,
};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use portcullis_proto::mesh::{self, Identity, Observer, Refusal};
use portcullis_proto::time::Timestamp;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What the MCP server gets in the token's place.
pub const CREDENTIAL: &str = "Bearer credential-of-the-provider";

/// Another one, in whose random characters there is what a proxy token begins with, but for its kind.
pub const UNLUCKY_CREDENTIAL: &str = "Bearer 7Pcl_9Qpcl_x";

/// The body of its refusals.
pub const DENIAL: &str = r#"{"error":"from authz"}"#;

const CHALLENGE: &str = "www-authenticate";

/// What it says to every denial: nothing that a line of the log could hold as it is.
pub const REASON: &str = "as \"the test\",\n\\asked";

const ALLOW: (&str, &str) = ("decision", "allow");
const TOKEN: (&str, &str) = ("token_id", "token-1");

/// Who asks, as identity headers say it.
const ALICE: [(&str, &str); 7] = [
    ("x-portcullis-subject", "alice"),
    ("x-portcullis-email", "alice@example.com"),
    ("x-portcullis-client", "client-1"),
    ("x-portcullis-server", "demo"),
    ("x-portcullis-provider", "corp"),
    ("x-portcullis-scopes", "openid"),
    ("x-portcullis-grant", "grant-1"),
];

/// Who asks, as metadata say it where headers do.
const ALICE_BESIDE: [(&str, &str); 2] = [("subject", "alice"), ("client_id", "client-1")];

/// Who asks, as metadata say it where no header does.
const BOB: [(&str, &str); 5] = [
    ("server", "demo"),
    ("subject", "bob"),
    ("client_id", "client-2"),
    ("grant_id", "grant-2"),
    ("provider", "corp"),
];

/// What authz answers to the token of that name; to any other, or none, 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it should be: `decision: allow`, the credential in the token's place.
    Allow,
    /// The same for another user, at a server that gets no identity headers.
    AllowAnother,
    /// As it should be: 403, `insufficient_scope`.
    Forbid,
    /// As it should be: 503, come again in 7 s.
    Unavailable,
    /// A `CheckResponse` without anything.
    Empty,
    /// Status OK, and a denied response.
    OkWithDenial,
    /// Status OK and the credential, but no decision.
    OkWithoutDecision,
    /// Status OK, the credential, and `decision: deny`.
    OkWithDecisionDeny,
    /// As it should be, with [`UNLUCKY_CREDENTIAL`].
    AllowUnlucky,
    /// As it should be for a token of the MCP server's own; but it is replaced, since this one is none.
    PassThrough,
    /// `decision: allow`, with the token left where it is.
    AllowKeepingToken,
    /// `decision: allow`, and a header that authz has no business with.
    AllowWithForeignHeader,
    /// A gRPC error.
    Error,
    /// None, ever.
    Hang,
}

/// The scripted authz, running. Stops when it is dropped.
#[derive(Debug)]
pub struct ScriptedAuthz {
    address: SocketAddr,
    service: Service,
    /// Of its own, so that it can die with all its connections.
    runtime: Option<Runtime>,
}

#[derive(Clone, Debug, Default)]
struct Service {
    seen: Arc<Mutex<Vec<CheckRequest>>>,
    hangs: Arc<AtomicBool>,
}

struct Unobserved;

// === impl Answer ===

impl Answer {
    const ALL: [Self; 14] = [
        Self::Allow,
        Self::AllowAnother,
        Self::AllowUnlucky,
        Self::Forbid,
        Self::Unavailable,
        Self::Empty,
        Self::OkWithDenial,
        Self::OkWithoutDecision,
        Self::OkWithDecisionDeny,
        Self::PassThrough,
        Self::AllowKeepingToken,
        Self::AllowWithForeignHeader,
        Self::Error,
        Self::Hang,
    ];

    /// The Authorization header that asks for it.
    pub fn authorization(self) -> String {
        format!("Bearer pcl_at_{self:?}")
    }

    fn asked_for(request: &CheckRequest) -> Option<Self> {
        let header = request.get_client_headers()?.get("authorization")?;
        Self::ALL.into_iter().find(|answer| answer.authorization() == *header)
    }
}

// === impl ScriptedAuthz ===

impl ScriptedAuthz {
    /// On a free port of 127.0.0.1.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap()).await
    }

    /// On an address.
    pub async fn start_on(address: SocketAddr) -> Self {
        Self::start_as(address, None).await
    }

    /// On an address, with TLS where it has an identity. It answers whoever gets through the handshake.
    pub async fn start_as(address: SocketAddr, identity: Option<Arc<Identity>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service::default();
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<AuthorizationServer<Service>>().await;
        let checks = AuthorizationServer::new(service.clone());
        let server = Server::builder().add_service(health_service).add_service(checks);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = listener.into_std().unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let incoming = mesh::connections(incoming, identity, Arc::new(Unobserved));
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, service, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Dies: its socket, its connections and the checks under way are gone when this returns.
    pub async fn die(&mut self) {
        let runtime = self.runtime.take();
        tokio::task::spawn_blocking(|| drop(runtime)).await.unwrap();
    }

    /// From now on it answers no check, and is in good health.
    pub fn hang(&self) {
        self.service.hangs.store(true, Ordering::Relaxed);
    }

    /// The checks since the last call.
    pub fn take(&self) -> Vec<CheckRequest> {
        std::mem::take(&mut self.service.seen.lock().unwrap())
    }
}

impl Drop for ScriptedAuthz {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl Unobserved ===

impl Observer for Unobserved {
    fn refused(&self, _: Refusal) {}
    fn reread(&self, _: bool) {}
    fn expires(&self, _: Timestamp) {}
}

// === impl Service ===

#[tonic::async_trait]
impl Authorization for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let request = request.into_inner();
        let hangs = self.hangs.load(Ordering::Relaxed).then_some(Answer::Hang);
        let asked_for = hangs.or_else(|| Answer::asked_for(&request));
        self.seen.lock().unwrap().push(request);
        Ok(Response::new(match asked_for {
            None => denial(HttpStatusCode::Unauthorized, CHALLENGE, "Bearer error=\"invalid_token\""),
            Some(Answer::Forbid) => {
                denial(HttpStatusCode::Forbidden, CHALLENGE, "Bearer error=\"insufficient_scope\"")
            }
            Some(Answer::Unavailable) => denial(HttpStatusCode::ServiceUnavailable, "retry-after", "7"),
            Some(Answer::Allow) => alice(CREDENTIAL, ALLOW),
            Some(Answer::AllowAnother) => ok(
                &[("authorization", CREDENTIAL)],
                &[ALLOW, TOKEN].into_iter().chain(BOB).collect::<Vec<_>>(),
            ),
            Some(Answer::AllowUnlucky) => alice(UNLUCKY_CREDENTIAL, ALLOW),
            Some(Answer::Empty) => CheckResponse::default(),
            Some(Answer::OkWithDenial) => {
                let mut response =
                    denial(HttpStatusCode::Unauthorized, CHALLENGE, "Bearer error=\"invalid_token\"");
                response.set_status(Status::ok(""));
                response
            }
            Some(Answer::OkWithoutDecision) => ok(&[("authorization", CREDENTIAL)], &[]),
            Some(Answer::OkWithDecisionDeny) => alice(CREDENTIAL, ("decision", "deny")),
            Some(Answer::PassThrough) => {
                let nobody = ALICE.map(|(name, _)| (name, ""));
                let headers = [("authorization", UNLUCKY_CREDENTIAL)].into_iter().chain(nobody);
                let facts = [ALLOW, TOKEN, ("reason", "passthrough"), ("server", "demo")];
                ok(&headers.collect::<Vec<_>>(), &facts)
            }
            Some(Answer::AllowKeepingToken) => ok(&[], &[ALLOW]),
            Some(Answer::AllowWithForeignHeader) => {
                ok(&[("authorization", CREDENTIAL), ("x-foreign", "1")], &[ALLOW])
            }
            Some(Answer::Error) => return Err(Status::internal("as the test asked")),
            Some(Answer::Hang) => std::future::pending().await,
        }))
    }
}

/// As the real authz lets a request of alice's through, but for the decision.
fn alice(credential: &str, decision: (&str, &str)) -> CheckResponse {
    let headers = [("authorization", credential)].into_iter().chain(ALICE);
    let facts = [decision, TOKEN].into_iter().chain(ALICE_BESIDE);
    ok(&headers.collect::<Vec<_>>(), &facts.collect::<Vec<_>>())
}

fn ok(headers: &[(&str, &str)], facts: &[(&str, &str)]) -> CheckResponse {
    let mut http = OkHttpResponseBuilder::new();
    for (name, value) in headers {
        http.add_header(*name, *value, Some(HeaderAppendAction::OverwriteIfExistsOrAdd), true);
    }
    let mut response = CheckResponse::with_status(Status::ok(""));
    response.set_http_response(http).set_dynamic_metadata((!facts.is_empty()).then(|| metadata(facts)));
    response
}

fn denial(status: HttpStatusCode, header: &str, value: &str) -> CheckResponse {
    let mut http = DeniedHttpResponseBuilder::new();
    http.set_http_status(status)
        .add_header(header, value, None, false)
        .add_header("content-type", "application/json", None, false)
        .set_body(DENIAL);
    let mut response = CheckResponse::with_status(Status::unauthenticated(""));
    let facts: Vec<_> = [("decision", "deny"), ("reason", REASON), TOKEN].into_iter().chain(BOB).collect();
    response.set_http_response(http).set_dynamic_metadata(Some(metadata(&facts)));
    response
}

/// What the gate and the access log are told.
fn metadata(facts: &[(&str, &str)]) -> Struct {
    let value = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields: HashMap<_, _> = facts.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect();
    Struct { fields }
}

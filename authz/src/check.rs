//! The request path: Envoy asks, this answers. Everything else serves this page.

use std::sync::Arc;

use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use portcullis_proto::ids::TokenId;
use portcullis_proto::time::{Clock, Timestamp};
use portcullis_proto::token::{Access, Presented};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tracing::{debug, error};

use crate::catalog::Server;
use crate::credential::{Credential, Lifetime, lifetime};
use crate::decide::{Denial, Outage, Permit};
use crate::metrics::Metrics;
use crate::replica::resolve::Resolver;
use crate::replica::{Known, Replica};
use crate::request::Incoming;
use crate::respond::{self, Audit};
use crate::telemetry::Seldom;

/// Envoy's authorization service.
pub struct Checker {
    replica: Arc<Replica>,
    resolver: Arc<Resolver>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    unusable: Seldom,
}

/// What a request has turned out to be, for the access log; filled in on the way.
#[derive(Default)]
struct Findings {
    token: Option<TokenId>,
    known: Option<Arc<Known>>,
}

// === impl Checker ===

impl Checker {
    /// A checker that decides by this replica.
    pub fn new(
        replica: Arc<Replica>,
        resolver: Arc<Resolver>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { replica, resolver, clock, metrics, unusable: Seldom::default() }
    }

    /// Answers for one request.
    pub async fn check(&self, request: &CheckRequest) -> CheckResponse {
        let (began, now) = (Instant::now(), self.clock.now());
        let incoming = Incoming::read(request);
        let mut findings = Findings::default();
        let (response, denial) = match self.replica.admit(incoming.server, now) {
            Ok(server) => match self.pass(&incoming, &server, now, &mut findings).await {
                Ok(response) => (response, None),
                Err(denial) => {
                    let audit = findings.audit(incoming.server);
                    let response = match denial {
                        Denial::Refused(refusal) => respond::refused(refusal, &server, &audit),
                        Denial::Undecided(outage) => respond::undecided(outage, &audit),
                    };
                    (response, Some(denial))
                }
            },
            Err(outage) => {
                (respond::undecided(outage, &findings.audit(incoming.server)), Some(outage.into()))
            }
        };
        if let Some(denial) = denial {
            debug!(server = incoming.server, token = ?findings.token, reason = denial.reason(), "denied");
        }
        self.metrics.decided(denial, began.elapsed());
        response
    }

    /// The way of a request that is let through; every exit on it is a denial.
    async fn pass(
        &self,
        incoming: &Incoming<'_>,
        server: &Server,
        now: Timestamp,
        findings: &mut Findings,
    ) -> Result<CheckResponse, Denial> {
        let token = incoming.token()?;
        let id = token.id();
        findings.token = Some(id);
        let (known, now) = match self.replica.resident(id)? {
            Some(known) => (known, now),
            None => (self.resolver.resolve(id).await?, self.clock.now()),
        };
        findings.known = Some(known.clone());
        let permit = self.replica.judge(server, &known, now)?;
        match lifetime(&permit, now) {
            Lifetime::Ample => {}
            Lifetime::Short => self.resolver.renew_soon(id, &known),
            Lifetime::Over => {
                let known = self.resolver.renew(id, &known).await?;
                let now = self.clock.now();
                let permit = self.replica.judge(server, &known, now)?; // it may have been revoked since
                if lifetime(&permit, now) == Lifetime::Over {
                    return Err(Outage::CredentialExpired.into());
                }
                return self.open(&permit, token, incoming.server);
            }
        }
        self.open(&permit, token, incoming.server)
    }

    /// Opens the credential. Where that fails, neither the token nor the client is to blame.
    fn open(
        &self,
        permit: &Permit<'_>,
        token: Presented<'_, Access>,
        server: &str,
    ) -> Result<CheckResponse, Denial> {
        let record = permit.record();
        let credential = Credential::open(permit, token).map_err(|error| {
            if self.unusable.now() {
                error!(token = ?record.token, grant = %record.grant, %error, "a credential cannot be used");
            }
            Outage::CredentialUnusable
        })?;
        let audit = Audit { server, token: Some(record.token), record: Some(record) };
        Ok(respond::allowed(permit, credential, &audit))
    }
}

#[tonic::async_trait]
impl Authorization for Checker {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.check(request.get_ref()).await))
    }
}

// === impl Findings ===

impl Findings {
    fn audit<'a>(&'a self, server: &'a str) -> Audit<'a> {
        Audit { server, token: self.token, record: self.known.as_ref().map(|known| &known.record) }
    }
}

//! The request path: Envoy asks, this answers. Everything else serves this page.

use std::sync::Arc;

use portcullis_proto::ids::TokenId;
use portcullis_proto::time::{Clock, Timestamp};
use portcullis_proto::token::{Access, Presented};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tracing::{debug, error};

use crate::catalog::Server;
use crate::credential::{Credential, Lifetime, lifetime};
use crate::decide::{Denial, Outage, Permit, Way};
use crate::ext_authz::{Authorization, CheckRequest, CheckResponse};
use crate::metrics::Metrics;
use crate::passthrough::pass_through;
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
        let (response, verdict) = match self.replica.admit(incoming.server, now) {
            Ok(server) => match self.pass(&incoming, &server, now, &mut findings).await {
                Ok((response, way)) => (response, Ok(way)),
                Err(denial) => {
                    let audit = findings.audit(incoming.server);
                    let response = match denial {
                        Denial::Refused(refusal) => respond::refused(refusal, &server, &audit),
                        Denial::Undecided(outage) => respond::undecided(outage, &audit),
                    };
                    (response, Err(denial))
                }
            },
            Err(outage) => (respond::undecided(outage, &findings.audit(incoming.server)), Err(outage.into())),
        };
        if let Err(denial) = verdict {
            debug!(server = incoming.server, token = ?findings.token, reason = denial.reason(), "denied");
        }
        self.metrics.decided(verdict, began.elapsed());
        response
    }

    /// The way of a request that is let through; every exit on it is a denial.
    async fn pass(
        &self,
        incoming: &Incoming<'_>,
        server: &Server,
        now: Timestamp,
        findings: &mut Findings,
    ) -> Result<(CheckResponse, Way), Denial> {
        match incoming.token() {
            Ok(token) => {
                let response = self.swap(token, incoming, server, now, findings).await?;
                Ok((response, Way::Allowed))
            }
            Err(refusal) => {
                let right =
                    incoming.foreign().and_then(|token| pass_through(server, token)).ok_or(refusal)?;
                Ok((respond::passed_through(&right, server), Way::PassedThrough))
            }
        }
    }

    /// Puts the credential in the token's place.
    async fn swap(
        &self,
        token: Presented<'_, Access>,
        incoming: &Incoming<'_>,
        server: &Server,
        now: Timestamp,
        findings: &mut Findings,
    ) -> Result<CheckResponse, Denial> {
        let id = token.id();
        findings.token = Some(id);
        let (known, now) = if let Some(known) = self.replica.resident(id)? {
            (known, now)
        } else {
            let known = self.resolver.resolve(id, incoming.neighbourhood()).await?;
            let now = self.clock.now();
            self.replica.ready(now)?; // it took its time
            (known, now)
        };
        findings.known = Some(known.clone());
        let permit = self.replica.judge(server, &known, now)?;
        let revision = server.credential_revision;
        let renewed = match lifetime(&permit, revision, now) {
            Lifetime::Ample => None,
            Lifetime::Short => {
                self.resolver.renew_soon(id, &known, revision)?;
                None
            }
            Lifetime::Outdated => match self.resolver.update(id, &known, revision).await {
                Some(Err(refused @ Denial::Refused(_))) => return Err(refused),
                Some(Ok(updated)) => Some(updated),
                Some(Err(Denial::Undecided(_))) => Some(known.clone()), // it is good for as long as it lasts
                None => None,
            },
            Lifetime::Over => Some(self.resolver.renew(id, &known).await?),
        };
        let Some(known) = renewed else { return self.open(&permit, token, server) };
        let now = self.clock.now();
        self.replica.ready(now)?;
        let permit = self.replica.judge(server, &known, now)?; // it may have been revoked since
        if lifetime(&permit, revision, now) == Lifetime::Over {
            return Err(Outage::CredentialExpired.into());
        }
        self.open(&permit, token, server)
    }

    /// Opens the credential. Where that fails, neither the token nor the client is to blame.
    fn open(
        &self,
        permit: &Permit<'_>,
        token: Presented<'_, Access>,
        server: &Server,
    ) -> Result<CheckResponse, Denial> {
        let record = permit.record();
        let credential = Credential::open(permit, token).map_err(|error| {
            if self.unusable.now() {
                error!(token = ?record.token, grant = %record.grant, %error, "a credential cannot be used");
            }
            Outage::CredentialUnusable
        })?;
        Ok(respond::allowed(permit, server, &credential))
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

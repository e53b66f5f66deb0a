//! Asking the control plane about a token.
//!
//! However many requests carry a token, one question about it is on its way at a time (a flight). A
//! flight goes on when the request that began it is gone, has a deadline, and there is a bound on how
//! many there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use portcullis_proto::ids::TokenId;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::resolve_response::Outcome;
use portcullis_proto::v1::{ResolveRequest, ResolveResponse, Unavailable, Unknown};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Response, Status};
use tracing::{debug, warn};

use super::hot::Era;
use super::store::Generation;
use super::{Known, Replica};
use crate::decide::{Denial, Outage, Refusal};
use crate::metrics::Metrics;

/// A question's deadline: Envoy waits 1 s for the whole decision.
const DEADLINE: Duration = Duration::from_millis(800);
/// Questions on their way, at most.
const MAX_FLIGHTS: usize = 1024;
/// How long an unknown token is refused without asking. Nobody can guess a token that will be issued, so
/// this only bounds how long a wrong answer could last.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);
/// Unknown tokens that are remembered, at most.
const MAX_UNKNOWN: u64 = 100_000;
/// Time between two attempts for one token whose credential can still be used, at least.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Tokens for which that is remembered, at most.
const MAX_RENEWALS: u64 = 100_000;

/// Asks the control plane, and has the replica learn the answers.
#[derive(Debug)]
pub struct Resolver {
    /// Where flights are: not on the threads that answer Envoy.
    runtime: Handle,
    client: ReplicaClient<Channel>,
    replica: Arc<Replica>,
    metrics: Arc<Metrics>,
    flights: Mutex<HashMap<Question, watch::Receiver<Option<Answer>>>>,
    unknown: Cache<Question, ()>,
    renewals: Cache<Renewal, ()>,
}

/// Which token's credential, and how it was to be made then: a new way is asked for at once.
type Renewal = (TokenId, u64);

/// Which token, asked about in which generation.
type Question = (TokenId, Generation);

/// What became of a question.
type Answer = Result<Arc<Known>, Denial>;

/// A flight that is under way, or an answer that has just come.
enum Flight {
    Landed(Answer),
    UnderWay(watch::Receiver<Option<Answer>>),
}

/// Ends a flight when it is dropped, whatever happened in it.
struct Landing {
    resolver: Arc<Resolver>,
    question: Question,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver that has asked nothing yet, and will ask from the current runtime.
    pub fn new(client: ReplicaClient<Channel>, replica: Arc<Replica>, metrics: Arc<Metrics>) -> Self {
        Self {
            runtime: Handle::current(),
            client,
            replica,
            metrics,
            flights: Mutex::default(),
            unknown: Cache::builder().max_capacity(MAX_UNKNOWN).time_to_live(UNKNOWN_FOR).build(),
            renewals: Cache::builder().max_capacity(MAX_RENEWALS).time_to_live(RENEW_EVERY).build(),
        }
    }

    /// The record of a token that the replica does not have.
    pub async fn resolve(self: &Arc<Self>, id: TokenId) -> Answer {
        self.fly(id, None).wait().await
    }

    /// The record of a token whose credential is of no use any more.
    pub async fn renew(self: &Arc<Self>, id: TokenId, outdated: &Arc<Known>) -> Answer {
        self.fly(id, Some(outdated)).wait().await
    }

    /// Has the record of a token renewed, and does not wait for it.
    pub fn renew_soon(self: &Arc<Self>, id: TokenId, outdated: &Arc<Known>, revision: u64) {
        if self.attempt((id, revision)) {
            drop(self.fly(id, Some(outdated)));
        }
    }

    /// The record of a token whose credential was made in another way than `revision` says. `None` where that has been
    /// asked for a moment ago, and the answer was of no use.
    pub async fn update(
        self: &Arc<Self>,
        id: TokenId,
        outdated: &Arc<Known>,
        revision: u64,
    ) -> Option<Answer> {
        let flight = if self.attempt((id, revision)) {
            self.fly(id, Some(outdated))
        } else {
            self.join(id, outdated)?
        };
        Some(flight.wait().await)
    }

    /// Whether an attempt may be made now; then it counts as made.
    fn attempt(&self, renewal: Renewal) -> bool {
        if self.renewals.contains_key(&renewal) {
            return false;
        }
        self.renewals.insert(renewal, ());
        true
    }

    /// The flight for a token that somebody has begun, or what it has brought.
    fn join(&self, id: TokenId, outdated: &Arc<Known>) -> Option<Flight> {
        let question = (id, self.replica.generation());
        if let Some(flight) = self.flights().get(&question) {
            return Some(Flight::UnderWay(flight.clone()));
        }
        if self.unknown.contains_key(&question) {
            return Some(Flight::Landed(Err(Refusal::Unknown.into())));
        }
        let known = self.replica.hot(id, question.1)?;
        (!Arc::ptr_eq(outdated, &known)).then_some(Flight::Landed(Ok(known)))
    }

    /// Joins the flight for a token, or begins one. Does not where another has just ended: the answer is
    /// there, and it is not the `outdated` one.
    fn fly(self: &Arc<Self>, id: TokenId, outdated: Option<&Arc<Known>>) -> Flight {
        let question = (id, self.replica.generation());
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&question) {
            return Flight::UnderWay(flight.clone());
        }
        if self.unknown.contains_key(&question) {
            return Flight::Landed(Err(Refusal::Unknown.into()));
        }
        if let Some(known) = self.replica.hot(id, question.1)
            && !outdated.is_some_and(|outdated| Arc::ptr_eq(outdated, &known))
        {
            return Flight::Landed(Ok(known));
        }
        if flights.len() >= MAX_FLIGHTS {
            self.metrics.resolve_refused();
            return Flight::Landed(Err(Outage::Unresolved.into()));
        }
        let (land, flight) = watch::channel(None);
        flights.insert(question, flight.clone());
        let landing = Landing { resolver: self.clone(), question };
        self.runtime.spawn(async move {
            let answer = landing.resolver.ask(question).await;
            drop(landing); // the replica has learned the answer: who comes now finds it there
            land.send_replace(Some(answer));
        });
        Flight::UnderWay(flight)
    }

    async fn ask(&self, question: Question) -> Answer {
        let began = Instant::now();
        let era = self.replica.era();
        let request = ResolveRequest { token_id: question.0.as_bytes().to_vec() };
        let response = timeout(DEADLINE, self.client.clone().resolve(request)).await;
        let (outcome, answer) = self.understand(question, era, response);
        self.metrics.resolved(outcome, began.elapsed());
        answer
    }

    /// A word for metrics, and the answer, which the replica has learned.
    fn understand(
        &self,
        question: Question,
        era: Era,
        response: Result<Result<Response<ResolveResponse>, Status>, Elapsed>,
    ) -> (&'static str, Answer) {
        let (id, generation) = question;
        let unresolved = Err(Outage::Unresolved.into());
        let response = match response {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => {
                debug!(token = ?id, code = ?status.code(), reason = status.message(), "not resolved");
                return ("error", unresolved);
            }
            Err(Elapsed { .. }) => {
                debug!(token = ?id, "not resolved in time");
                return ("timeout", unresolved);
            }
        };
        match response.outcome {
            Some(Outcome::Record(message)) => match TokenRecord::try_from(message) {
                Ok(record) if record.token == id => {
                    ("record", Ok(self.replica.learn(generation, era, record)))
                }
                _ => {
                    warn!(token = ?id, "the control plane answered with a record that is none of this token");
                    ("malformed", unresolved)
                }
            },
            Some(Outcome::Unknown(Unknown {})) => {
                self.unknown.insert(question, ());
                ("unknown", Err(Refusal::Unknown.into()))
            }
            Some(Outcome::Unavailable(Unavailable {})) => ("unavailable", unresolved),
            None => {
                warn!(token = ?id, "the control plane answered with nothing that is understood");
                ("malformed", unresolved)
            }
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Answer>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Flight ===

impl Flight {
    async fn wait(self) -> Answer {
        match self {
            Self::Landed(answer) => answer,
            Self::UnderWay(mut flight) => match flight.wait_for(Option::is_some).await {
                Ok(answer) => answer.clone().unwrap_or(Err(Outage::Unresolved.into())),
                Err(_) => Err(Outage::Unresolved.into()), // it ended without an answer
            },
        }
    }
}

// === impl Landing ===

impl Drop for Landing {
    fn drop(&mut self) {
        self.resolver.flights().remove(&self.question);
    }
}

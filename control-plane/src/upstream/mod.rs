//! Keeping the provider's credentials fresh: one refresh at a time for each grant, durable before it is
//! used, and no retry storm.
//!
//! [`freshen`] decides whether a refresh is due and how long it is waited for; `refresh` makes it, under a lease
//! that the store gives; `recheck` asks after it whether the user may still in, where the server has rules; `gate`
//! bounds what all grants together ask of one provider.

mod backoff;
mod gate;
mod recheck;
mod refresh;
mod seal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use portcullis_proto::ids::{GrantId, ProviderName};
use portcullis_proto::random::Random;
use portcullis_proto::time::{Clock, Timestamp};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use self::gate::Gate;
use self::refresh::Outcome;
pub use self::seal::seal;
use crate::app::App;
use crate::metrics::{Metrics, ProviderLabel};
use crate::oauth::grant::Grant;
use crate::store::StoreError;

/// A credential that has less than this left is refreshed when it is asked for. Authz asks a minute ahead.
const AHEAD: Duration = Duration::from_secs(75);
/// How long a refresh is waited for. Authz waits 800 ms for us: it had better hear of a credential that is
/// still good, or that there is none yet. The refresh goes on.
const PATIENCE: Duration = Duration::from_millis(500);

/// Refreshes under way.
pub struct Upstreams {
    /// Whoever asks for the same refresh while it is under way gets its outcome. A grant's version counts its
    /// refreshes, so each of them is one key.
    flights: Cache<(GrantId, u64), Outcome>,
    gates: BTreeMap<ProviderName, Gate>,
    tasks: TaskTracker,
}

/// Where a grant's credential stands.
#[derive(Debug)]
pub enum Freshness {
    /// Good for use; the grant as it is now stored. Where the server gets another credential than the provider's, that
    /// one may have expired.
    Good(Box<Grant>),
    /// Expired, needed, and not to be renewed at the moment.
    Unavailable,
    /// Only a new login helps.
    Dead,
}

// === impl Upstreams ===

impl Upstreams {
    /// Nothing under way at any of these providers.
    pub fn new<'a>(
        providers: impl Iterator<Item = &'a ProviderName>,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
        metrics: &Metrics,
    ) -> Self {
        let gate = |name: &ProviderName| {
            let label = ProviderLabel { provider: name.to_string() };
            let paused = metrics.provider_paused.get_or_create(&label).clone();
            (name.clone(), Gate::new(name.clone(), clock.clone(), random.clone(), paused))
        };
        Self { flights: Cache::new(100_000), gates: providers.map(gate).collect(), tasks: TaskTracker::new() }
    }

    /// Begins no more refreshes, and waits for those under way: what a provider has given in place of an old
    /// token must not be lost.
    pub async fn finish(&self) {
        self.gates.values().for_each(Gate::close);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The grant with a credential that is good at `now`, refreshed where it is about to expire; dead where its server has
/// been moved to another provider.
///
/// Where the server gets another credential than the provider's, it is refreshed all the same: a provider that ends a
/// user's session ends the grant. But neither an outage of the provider nor the lack of a refresh token stops anybody,
/// unless rules say that the user must be asked about: whether the provider gives a refresh token, a user can decide.
pub async fn freshen(app: &Arc<App>, grant: Grant, now: Timestamp) -> Result<Freshness, StoreError> {
    freshen_within(PATIENCE, app, grant, now).await
}

async fn freshen_within(
    patience: Duration,
    app: &Arc<App>,
    grant: Grant,
    now: Timestamp,
) -> Result<Freshness, StoreError> {
    if app.has_moved(&grant) {
        return Ok(Freshness::Dead);
    }
    let expires_at = grant.upstream.credential_expires_at;
    let expired = expires_at.is_some_and(|at| at <= now);
    let expires_soon = expires_at.is_some_and(|at| at <= now.after(AHEAD));
    let server = app.config.servers.get(&grant.server);
    // Where there are rules, only the provider can say that the user still fulfils them.
    let is_needed =
        server.is_none_or(|server| server.credential.is_provider_token() || server.allow.is_some());
    if !expires_soon || (grant.upstream.refresh_token.is_none() && !(expired && is_needed)) {
        return Ok(Freshness::Good(Box::new(grant)));
    }
    // A task of its own, single flight included. Whoever asks may go away: then the provider's answer must
    // not be lost, and nobody may show it the same refresh token a second time.
    let task = app.upstreams.tasks.spawn(fly(app.clone(), grant.clone()));
    let outcome = match timeout(patience, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) | Err(_) => Outcome::Failed,
    };
    Ok(match outcome {
        Outcome::Refreshed => match app.store.live_grant(&grant.id).await? {
            // It may be one that is not to be used before its user has been asked about.
            Some(grant) if is_needed && grant.upstream.credential_expires_at.is_some_and(|at| at <= now) => {
                Freshness::Unavailable
            }
            Some(grant) => Freshness::Good(Box::new(grant)),
            None => Freshness::Dead,
        },
        Outcome::Failed if expired && is_needed => Freshness::Unavailable,
        Outcome::Failed => Freshness::Good(Box::new(grant)),
        Outcome::Dead => Freshness::Dead,
    })
}

/// Refreshes this version of the grant's credential: whoever comes meanwhile gets the same outcome. Whoever
/// comes later asks the store.
async fn fly(app: Arc<App>, grant: Grant) -> Outcome {
    let key = (grant.id.clone(), grant.upstream.version);
    let outcome = app.upstreams.flights.get_with_by_ref(&key, refresh::refresh(&app, &grant)).await;
    app.upstreams.flights.invalidate(&key).await;
    outcome
}

#[cfg(test)]
mod tests;

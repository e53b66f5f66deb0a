//! What all refreshes at one provider pass: so many at a time, and none while the provider is failing. Logins do
//! not: a person waits for each of them, and nobody can start many.

mod health;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_proto::ids::ProviderName;
use portcullis_proto::random::Random;
use portcullis_proto::time::Clock;
use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use self::health::{Call, Health, Report};
use super::backoff::{Backoff, draw};
use crate::provider::ProviderError;

/// Refreshes under way at one provider.
const CALLS: usize = 16;
/// How many may wait for one of them to end, and how long.
const QUEUE: usize = 256;
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a provider that fails is left alone.
const PAUSE: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };

/// The way to one provider.
pub(super) struct Gate {
    provider: ProviderName,
    health: Mutex<Health>,
    calls: Semaphore,
    queue: Semaphore,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// 1 while the provider is left alone or being tried again.
    paused: Gauge,
}

/// The right to make one call. Where nothing is reported, none was made.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    call: Call,
    report: Report,
    _slot: SemaphorePermit<'a>,
}

/// Why a call may not be made now. It says nothing about what the call is for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Shut {
    #[error("the provider is failing, and left alone for a while")]
    Paused,
    #[error("too many refreshes at the provider")]
    Crowded,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(
        provider: ProviderName,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        paused: Gauge,
    ) -> Self {
        let (calls, queue) = (Semaphore::new(CALLS), Semaphore::new(QUEUE));
        Self { provider, health: Mutex::default(), calls, queue, clock, random, paused }
    }

    /// Waits for its turn, where the provider is not failing.
    pub(super) async fn enter(&self) -> Result<Pass<'_>, Shut> {
        // A look before the queue: while the provider is failing nobody is to wait in it.
        let health = *self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.admit(self.clock.now()).is_none() {
            return Err(Shut::Paused);
        }
        let slot = {
            let _place = self.queue.try_acquire().map_err(|_| Shut::Crowded)?;
            let slot = timeout(PATIENCE, self.calls.acquire()).await.map_err(|_| Shut::Crowded)?;
            slot.map_err(|_| Shut::Crowded)?
        };
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, call) = health.admit(self.clock.now()).ok_or(Shut::Paused)?;
        *health = next;
        Ok(Pass { gate: self, call, report: Report::Unasked, _slot: slot })
    }

    /// Lets nobody in any more, nor those who wait.
    pub(super) fn close(&self) {
        self.calls.close();
    }

    fn ended(&self, call: Call, report: Report) {
        let pause = |failures| PAUSE.after(failures, draw(self.random.as_ref()));
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *health;
        *health = before.after(call, report, self.clock.now(), pause);
        self.paused.set(i64::from(*health != Health::Well));
        match (before, *health) {
            (Health::Well, Health::Paused { .. }) => {
                tracing::warn!(provider = %self.provider, "the provider fails and is left alone for a while");
            }
            (Health::Probing { .. }, Health::Well) => {
                tracing::info!(provider = %self.provider, "the provider answers again");
            }
            _ => {}
        }
    }
}

// === impl Pass ===

impl Pass<'_> {
    /// Says how the call ended.
    pub(super) fn report<T>(mut self, outcome: &Result<T, ProviderError>) {
        self.report = match outcome {
            Err(ProviderError::Unreachable(_)) => Report::Failed { retry_after: None },
            Err(ProviderError::Busy { retry_after, .. }) => {
                Report::Failed { retry_after: Some(*retry_after) }
            }
            Ok(_) | Err(_) => Report::Answered,
        };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.ended(self.call, self.report);
    }
}

#[cfg(test)]
mod tests;

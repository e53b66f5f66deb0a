//! What `/metrics` tells, in Prometheus's text format.

mod mesh;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use self::mesh::MeshMetrics;

/// Every metric of the control plane.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Clients registered.
    pub registrations: Counter,
    /// Authorization requests, by what became of them.
    pub authorizations: Family<OutcomeLabel, Counter>,
    /// Provider callbacks, by what became of them.
    pub logins: Family<OutcomeLabel, Counter>,
    /// Tokens of users' own, by what became of them.
    pub user_tokens: Family<OutcomeLabel, Counter>,
    /// What users did on the account page.
    pub account: Family<OutcomeLabel, Counter>,
    /// Token requests, by grant type and by what became of them.
    pub tokens: Family<TokenLabels, Counter>,
    /// Entries appended to the revocation log, by scope.
    pub revocations: Family<ScopeLabel, Counter>,
    /// Resolve calls, by answer.
    pub resolves: Family<OutcomeLabel, Counter>,
    /// Time to answer a Resolve call, provider refresh included.
    pub resolve_seconds: Histogram,
    /// Provider refreshes that were due, by what became of them: `refreshed`, `failed`, or not made for some
    /// reason (`deferred`, `paused`, ...).
    pub provider_refreshes: Family<OutcomeLabel, Counter>,
    /// Providers that fail, 1 each: they are asked for no refreshes but one now and then.
    pub provider_paused: Family<ProviderLabel, Gauge>,
    /// Clients that were to be registered at a provider, by what became of it: `done`, `full`, `failed`.
    pub provider_registrations: Family<OutcomeLabel, Counter>,
    /// Files of static credentials, by server and by what was found: `changed`, or `failed`, which leaves the last good
    /// credential in use.
    pub static_credentials: Family<ServerLabels, Counter>,
    /// Master keys in the ring.
    pub master_keys: Gauge,
    /// Since when the current master key seals, in seconds; 0 where that was not noted.
    pub master_key_age: Gauge,
    /// Rows that are sealed under another key than the current one, when that was last counted.
    pub master_key_rows_behind: Gauge,
    /// Rows that were to be sealed under the current key, by what became of it: `done`, `overtaken` by another change,
    /// `failed` because they do not open.
    pub rewrapped: Family<OutcomeLabel, Counter>,
    /// Authz instances with an open Watch stream.
    pub instances: Gauge,
    /// Log entries that the slowest of them has not applied.
    pub instance_lag: Gauge,
    /// Who was turned away inside the mesh, and the state of our own certificate.
    pub mesh: MeshMetrics,
}

/// What became of something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// In a word.
    pub outcome: &'static str,
}

/// A token request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TokenLabels {
    /// `authorization_code`, `refresh_token`, or `unknown`.
    pub grant_type: &'static str,
    /// `issued`, or the OAuth error.
    pub outcome: &'static str,
}

/// Where users log in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProviderLabel {
    /// Its name in the configuration.
    pub provider: String,
}

/// What was found at an MCP server's file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServerLabels {
    /// The server's name in the configuration.
    pub server: String,
    /// In a word.
    pub outcome: &'static str,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ScopeLabel {
    /// `token`, `grant`, `client`, ...
    pub scope: &'static str,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("portcullis"),
            registrations: Counter::default(),
            authorizations: Family::default(),
            logins: Family::default(),
            user_tokens: Family::default(),
            account: Family::default(),
            tokens: Family::default(),
            revocations: Family::default(),
            resolves: Family::default(),
            // 0.1 ms to 13 s
            resolve_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 18)),
            provider_refreshes: Family::default(),
            provider_paused: Family::default(),
            provider_registrations: Family::default(),
            static_credentials: Family::default(),
            master_keys: Gauge::default(),
            master_key_age: Gauge::default(),
            master_key_rows_behind: Gauge::default(),
            rewrapped: Family::default(),
            instances: Gauge::default(),
            instance_lag: Gauge::default(),
            mesh: MeshMetrics::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("registrations", "Clients registered", self.registrations.clone());
        registry.register(
            "authorizations",
            "Authorization requests, by what became of them",
            self.authorizations.clone(),
        );
        registry.register("logins", "Provider callbacks, by what became of them", self.logins.clone());
        registry.register(
            "user_tokens",
            "Tokens of users' own, by what became of them",
            self.user_tokens.clone(),
        );
        registry.register("account", "What users did on the account page", self.account.clone());
        registry.register("token_requests", "Token requests, by what became of them", self.tokens.clone());
        registry.register(
            "revocations",
            "Entries appended to the revocation log, by scope",
            self.revocations.clone(),
        );
        registry.register("resolves", "Resolve calls, by answer", self.resolves.clone());
        registry.register_with_unit(
            "resolve",
            "Time to answer a Resolve call, provider refresh included",
            Unit::Seconds,
            self.resolve_seconds.clone(),
        );
        registry.register(
            "provider_refreshes",
            "Provider refreshes that were due, by what became of them",
            self.provider_refreshes.clone(),
        );
        registry.register(
            "provider_paused",
            "1 while a provider fails: it is asked for no refreshes but one now and then",
            self.provider_paused.clone(),
        );
        registry.register(
            "provider_registrations",
            "Clients that were to be registered at a provider, by what became of it",
            self.provider_registrations.clone(),
        );
        registry.register(
            "static_credentials",
            "Looks at files of static credentials that found a change, or nothing of use",
            self.static_credentials.clone(),
        );
        self.register_keys();
        let registry = &mut self.registry;
        registry.register("instances", "Authz instances with an open Watch stream", self.instances.clone());
        registry.register(
            "instance_lag_entries",
            "Revocation log entries that the slowest connected instance has not applied",
            self.instance_lag.clone(),
        );
        self.mesh.register(registry);
    }

    fn register_keys(&mut self) {
        let registry = &mut self.registry;
        registry.register("master_keys", "Master keys in the ring", self.master_keys.clone());
        registry.register_with_unit(
            "master_key_age",
            "How long the current master key has been that; 0 where it was not noted",
            Unit::Seconds,
            self.master_key_age.clone(),
        );
        registry.register(
            "master_key_rows_behind",
            "Rows sealed under another master key than the current one, as last counted",
            self.master_key_rows_behind.clone(),
        );
        registry.register(
            "rewrapped_rows",
            "Rows that were to be sealed under the current master key, by what became of it",
            self.rewrapped.clone(),
        );
    }

    /// The text.
    pub fn encode(&self) -> String {
        let mut output = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut output, &self.registry);
        output
    }

    /// Counts an outcome.
    pub fn count(family: &Family<OutcomeLabel, Counter>, outcome: &'static str) {
        family.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

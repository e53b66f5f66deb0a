//! Everything that a request needs, in one place.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_proto::ids::{ProviderName, ServerName};
use portcullis_proto::mesh::Identity;
use portcullis_proto::random::Random;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::{Clock, Timestamp};

use crate::acting::Registrations;
use crate::client_document::{Documents, Web};
use crate::config::{Config, Server};
use crate::credential::recipe::Recipes;
use crate::instances::Instances;
use crate::issuer::Issuers;
use crate::keys::{FormKey, MasterKeys};
use crate::metrics::{Metrics, ScopeLabel};
use crate::oauth::grant::Grant;
use crate::provider::{Http, Provider};
use crate::signing::Signer;
use crate::store::{Store, StoreError};
use crate::upstream::Upstreams;

/// The control plane.
pub struct App {
    /// What was configured.
    pub config: Config,
    /// What this process shows in the mesh, and whom it trusts there; `None` where there is no TLS.
    pub identity: Option<Arc<Identity>>,
    /// The authorization servers that clients see.
    pub issuers: Issuers,
    /// What must outlive the process.
    pub store: Arc<dyn Store>,
    /// What clients say of themselves at URLs of their own; `None` where that is turned off.
    pub documents: Option<Documents>,
    /// Where users log in.
    pub providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// What tokens of users' own are checked with.
    pub http: Http,
    /// What data keys are sealed under.
    pub keys: MasterKeys,
    /// What our pages' forms are signed with.
    pub form_key: FormKey,
    /// What signs assertions, where some server gets them.
    pub signer: Option<Signer>,
    /// By what credentials are made at the moment.
    pub recipes: Recipes,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Who listens to the revocation log.
    pub instances: Instances,
    /// Refreshes under way at providers.
    pub upstreams: Upstreams,
    /// Registrations under way at providers.
    pub registrations: Registrations,
    /// What is counted.
    pub metrics: Metrics,
}

/// What an [`App`] is made of, apart from what it makes itself.
pub struct Parts {
    /// What was configured.
    pub config: Config,
    /// What this process shows in the mesh, where there is TLS.
    pub identity: Option<Arc<Identity>>,
    /// What must outlive the process.
    pub store: Arc<dyn Store>,
    /// Where documents of clients are fetched from.
    pub web: Arc<dyn Web>,
    /// Where users log in: one for each of the configuration's.
    pub providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// What tokens of users' own are checked with.
    pub http: Http,
    /// What data keys are sealed under.
    pub keys: MasterKeys,
    /// What signs assertions: there, if any server gets them.
    pub signer: Option<Signer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

// === impl App ===

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        let metrics = Metrics::default();
        let policy = parts.config.clients.metadata_documents.clone();
        let issuers = Issuers::new(&parts.config);
        let own = issuers.origins().to_vec();
        Arc::new(Self {
            issuers,
            documents: policy.map(|policy| Documents::new(parts.web, policy, own)),
            form_key: parts.keys.form_key(),
            recipes: Recipes::new(&parts.config, parts.keys.revision_key()),
            signer: parts.signer,
            upstreams: Upstreams::new(parts.providers.keys(), &parts.clock, &parts.random, &metrics),
            config: parts.config,
            identity: parts.identity,
            store: parts.store,
            providers: parts.providers,
            http: parts.http,
            keys: parts.keys,
            clock: parts.clock,
            random: parts.random,
            instances: Instances::default(),
            registrations: Registrations::default(),
            metrics,
        })
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The present moment, for decisions that cannot be taken back.
    pub fn believed_now(&self) -> Timestamp {
        self.clock.believed()
    }

    /// A configured server with its provider; `None` where either has been taken out of the configuration
    /// since a grant was made.
    pub fn server(&self, name: &ServerName) -> Option<(&Server, &Arc<dyn Provider>)> {
        let server = self.config.servers.get(name)?;
        Some((server, self.providers.get(&server.provider)?))
    }

    /// Whether the grant's server has another provider by now. Then the grant is nobody's any more: the server's users are
    /// the other provider's, and who may in is said of them.
    pub fn has_moved(&self, grant: &Grant) -> bool {
        self.config.servers.get(&grant.server).is_some_and(|server| server.provider != grant.provider)
    }

    /// Revokes, and says so in log and metrics.
    pub async fn revoke(&self, scope: Scope, by: &'static str) -> Result<Entry, StoreError> {
        let entry = self.store.revoke(scope, self.now()).await?;
        self.note_revocation(&entry, by);
        Ok(entry)
    }

    /// The same for what the store has revoked together with something else.
    pub fn note_revocations(&self, entries: &[Entry], by: &'static str) {
        for entry in entries {
            self.note_revocation(entry, by);
        }
    }

    fn note_revocation(&self, entry: &Entry, by: &'static str) {
        let kind = match &entry.scope {
            Scope::Token(_) => "token",
            Scope::Grant(_) => "grant",
            Scope::Client(_) => "client",
            Scope::Subject(..) => "subject",
            Scope::Server(_) => "server",
            Scope::Everything => "everything",
        };
        self.metrics.revocations.get_or_create(&ScopeLabel { scope: kind }).inc();
        tracing::info!(sequence = entry.sequence.0, scope = ?entry.scope, by, "revoked");
    }
}

//! `portcullis.yaml`, read and checked. Whoever holds a [`Config`] need not doubt it.
//!
//! `node` makes a tree of the text, `section` and `item` walk it, `values` has the rules for single values, and
//! the others read one part of the file each. [`Problems`] says everything that is wrong, at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::ids::{ClientId, ProviderName, ServerName};
use portcullis_proto::mesh::{Files, Settings};
use url::{Origin, Url};

use crate::client_document::Policy;
use crate::oauth::admission::{NO_QUESTIONS, Questions, Rules};
use crate::oauth::client::Client;
use crate::provider;

mod allow;
mod clients;
mod credential;
mod edge;
mod item;
mod load;
mod mesh;
mod node;
mod problems;
mod providers;
mod secret;
mod section;
mod servers;
mod values;

pub use self::credential::{CredentialHeader, CredentialMode, StaticCredential, UserToken};
pub use self::load::{load, parse};
pub use self::problems::{Problem, Problems};
pub use self::secret::static_secret;
pub use self::section::Environment;

/// The whole file.
#[derive(Debug)]
pub struct Config {
    /// What the control plane listens on.
    pub listen: Listen,
    /// How Envoy, authz, the control plane and operators reach each other; on loopback by default.
    pub mesh: Settings,
    /// Where it keeps everything.
    pub store: StoreConfig,
    /// Directory of the master key ring and the signing keys; created on first start, mode 0700, files 0600.
    pub keys: PathBuf,
    /// How long a key signs assertions before the next one does: 30 days.
    pub rotate_signing: Duration,
    /// What the Envoy configuration is rendered from.
    pub edge: Edge,
    /// Where users log in.
    pub providers: BTreeMap<ProviderName, provider::Settings>,
    /// The MCP servers behind the edge. Never empty.
    pub servers: BTreeMap<ServerName, Server>,
    /// Which clients may be used.
    pub clients: Clients,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// How much is kept.
    pub limits: Limits,
}

/// Addresses of the control plane.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// The OAuth surface and the pages, behind Envoy.
    pub http: SocketAddr,
    /// The Replica and Admin services.
    pub grpc: SocketAddr,
    /// `/healthz`, `/readyz`, `/metrics`.
    pub ops: SocketAddr,
}

/// Which store.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// Embedded.
    Sled {
        /// The database's directory.
        path: PathBuf,
    },
}

/// The edge: Envoy.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Absent: plain HTTP, on loopback only.
    pub tls: Option<Tls>,
    /// What Envoy shows and trusts inside the mesh, as it sees the files; where [`Config::mesh`] is TLS, and only there.
    pub mesh: Option<Files>,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
    /// `host:port` of every authz instance. Never empty.
    pub authz: Vec<String>,
    /// `host:port` of the control plane's OAuth surface as Envoy reaches it; `listen.http` by default.
    pub control_plane: String,
    /// Origins of browser-based MCP clients that may call (CORS).
    pub allowed_origins: Vec<String>,
}

/// The edge's certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM file with the chain.
    pub certificate: PathBuf,
    /// PEM file.
    pub private_key: PathBuf,
}

/// An MCP server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Canonical resource identifier (RFC 8707): what people type into their MCP client. Has no query, no
    /// fragment, no user information, and a path other than `/`; https, or http on loopback.
    pub url: Url,
    /// Where Envoy forwards to; http or https.
    pub upstream: Url,
    /// Where its users log in: a key of [`Config::providers`].
    pub provider: ProviderName,
    /// What the MCP server gets in the proxy token's place.
    pub credential: CredentialMode,
    /// The header field, in lower case, in which it gets a signed statement about the caller besides.
    pub assertion: Option<String>,
    /// Which identity headers it gets.
    pub identity: Vec<IdentityHeader>,
    /// What tokens of its own begin with, if requests with one go through unchanged.
    pub passthrough: Vec<String>,
    /// What clients may ask for, and get when they ask for nothing. The provider's where the server names none.
    pub scopes: Vec<String>,
    /// What every request must have; part of `scopes`.
    pub required_scopes: Vec<String>,
    /// Who may in; `None`: whoever can log in.
    pub allow: Option<Rules>,
}

/// Which clients may be used, and who says what they are.
#[derive(Debug)]
pub struct Clients {
    /// `registration.enabled`: whether clients may register themselves (RFC 7591). Those that have may go on.
    pub registration: bool,
    /// `metadata_documents`: whose documents count; `None` where nobody's do.
    pub metadata_documents: Option<Policy>,
    /// `preregistered`: those that the configuration itself describes.
    pub preregistered: BTreeMap<ClientId, Client>,
}

/// How long things live. Every one has a default.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// An access token: 1 h.
    pub access_token: Duration,
    /// A refresh token, from its last use: 30 days.
    pub refresh_token: Duration,
    /// An authorization code: 60 s.
    pub code: Duration,
    /// A login under way, from approval to the provider's answer: 10 min.
    pub pending: Duration,
    /// How long a refresh request may be repeated: 30 s.
    pub refresh_grace: Duration,
    /// A registration that nobody has logged in with: 1 day.
    pub unused_client: Duration,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Registrations that nobody has logged in with yet: 10,000.
    pub unused_clients: usize,
    /// Logins under way: 20,000. One can take some kilobytes. As many may wait for a token of the user's own, and as
    /// many sessions may there be on the account page.
    pub pending: usize,
    /// Clients registered at providers (`registration: dynamic`), of all providers together: 10,000.
    pub provider_clients: usize,
}

// === impl Server ===

impl Server {
    /// The issuer identifier (RFC 8414 section 2) that clients of this server see: its URL's origin.
    /// Clients look for metadata there, so every origin is an issuer of its own.
    pub fn issuer(&self) -> String {
        self.origin().ascii_serialization()
    }

    /// What is to be found out about whoever logs in.
    pub fn questions(&self) -> &Questions {
        self.allow.as_ref().map_or(&NO_QUESTIONS, Rules::questions)
    }

    /// The origin of the server's URL.
    pub fn origin(&self) -> Origin {
        self.url.origin()
    }

    /// Whether it gets signed statements of ours.
    pub fn is_told_by_assertion(&self) -> bool {
        self.assertion.is_some() || matches!(self.credential, CredentialMode::Assertion)
    }

    /// Header fields that carry a credential here, beside Authorization: no client may set them. In lower case.
    pub fn credential_headers(&self) -> impl Iterator<Item = &str> {
        let all = self.credential.header().into_iter().chain(self.assertion.as_deref());
        all.filter(|name| *name != "authorization")
    }

    /// Identity headers that it does not get.
    pub fn withheld(&self) -> impl Iterator<Item = IdentityHeader> {
        IdentityHeader::ALL.into_iter().filter(|identity| !self.identity.contains(identity))
    }

    /// Where its protected-resource metadata is (RFC 9728 section 3.1).
    pub fn resource_metadata(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource{}", self.issuer(), self.url.path())
    }
}

// === impl Lifetimes ===

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_token: Duration::from_hours(1),
            refresh_token: Duration::from_hours(30 * 24),
            code: Duration::from_mins(1),
            pending: Duration::from_mins(10),
            refresh_grace: Duration::from_secs(30),
            unused_client: Duration::from_hours(24),
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { unused_clients: 10_000, pending: 20_000, provider_clients: 10_000 }
    }
}

#[cfg(test)]
mod tests;

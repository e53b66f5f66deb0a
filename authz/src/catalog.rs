//! The MCP servers behind the edge, as the control plane names them.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::ids::ServerName;
use portcullis_proto::v1;

/// All MCP servers, by name. A copy is the same catalog.
#[derive(Clone, Debug, Default)]
pub struct Catalog(Arc<HashMap<String, Arc<Server>>>);

/// What a decision and its answer need to know of an MCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its key in the configuration, and in Envoy's `context_extensions`.
    pub name: ServerName,
    /// Where its protected-resource metadata is (RFC 9728).
    pub resource_metadata: String,
    /// What a client without a token is told to ask for.
    pub scopes: Vec<String>,
    /// What every token must have.
    pub required_scopes: Vec<String>,
    /// By which settings credentials for it are made now.
    pub credential_revision: u64,
    /// What tokens of its own begin with, where requests with one go through unchanged.
    pub passthrough: Vec<String>,
    /// Header fields that only we may set, beside Authorization and the identity headers. In lower case.
    pub credential_headers: Vec<String>,
    /// Identity headers that it does not get.
    pub withheld: Vec<IdentityHeader>,
}

// === impl Catalog ===

impl Catalog {
    /// The server of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Server>> {
        self.0.get(name)
    }
}

impl From<v1::Catalog> for Catalog {
    fn from(message: v1::Catalog) -> Self {
        let named = |server: v1::CatalogServer| (server.name.clone(), Arc::new(Server::from(server)));
        Self(Arc::new(message.servers.into_iter().map(named).collect()))
    }
}

// === impl Server ===

impl Server {
    /// Whether it gets this identity header.
    pub fn gets(&self, header: IdentityHeader) -> bool {
        !self.withheld.contains(&header)
    }
}

impl From<v1::CatalogServer> for Server {
    fn from(message: v1::CatalogServer) -> Self {
        Self {
            name: ServerName::new(message.name),
            resource_metadata: message.resource_metadata,
            scopes: message.scopes,
            required_scopes: message.required_scopes,
            credential_revision: message.credential_revision,
            passthrough: message.passthrough,
            credential_headers: message.credential_headers,
            // A name that is not known here is that of a header which is not known here, and is not sent.
            withheld: message
                .withheld_identity
                .iter()
                .filter_map(|name| IdentityHeader::named(name))
                .collect(),
        }
    }
}

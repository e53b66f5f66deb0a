//! Issuers: every origin that an MCP server has is one (RFC 8414 section 2), because that is where clients
//! look for metadata. One control plane serves them all.

use std::sync::Arc;

use portcullis_proto::ids::ServerName;
use url::{Origin, Url};

use crate::config::Config;
use crate::oauth::resource::Resource;
use crate::oauth::scope::Scopes;

/// One authorization server as clients see it.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its identifier: an origin, without a trailing slash.
    pub identifier: String,
    /// Its MCP servers.
    pub resources: Vec<Resource>,
    /// Where providers send browsers back to.
    pub callback: Url,
    /// Whether it is reached by https.
    pub secure: bool,
    /// Whether some of its MCP servers get assertions, so that it has a key set.
    pub asserts: bool,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Issuers {
    all: Vec<Arc<Issuer>>,
    origins: Vec<Origin>,
}

// === impl Issuer ===

impl Issuer {
    /// A URL of this issuer.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.identifier)
    }

    /// The server whose URL has this path. A slash at its end does not matter.
    pub fn resource_at(&self, path: &str) -> Option<&Resource> {
        let path = path.strip_suffix('/').unwrap_or(path);
        self.resources.iter().find(|resource| resource.url.path() == path)
    }

    /// Whether the server is one of this issuer's.
    pub fn has(&self, server: &ServerName) -> bool {
        self.resources.iter().any(|resource| &resource.server == server)
    }
}

// === impl Issuers ===

impl Issuers {
    /// Groups the configured servers by origin.
    pub fn new(config: &Config) -> Self {
        let mut all: Vec<Issuer> = Vec::new();
        let mut origins = Vec::new();
        for (name, server) in &config.servers {
            let resource = Resource {
                server: name.clone(),
                url: server.url.clone(),
                scopes: Scopes::from_tokens(server.scopes.iter().cloned()),
            };
            let identifier = server.issuer();
            if let Some(issuer) = all.iter_mut().find(|issuer| issuer.identifier == identifier) {
                issuer.resources.push(resource);
                issuer.asserts |= server.is_told_by_assertion();
                continue;
            }
            let mut callback = server.url.clone();
            callback.set_path("/callback");
            origins.push(server.origin());
            all.push(Issuer {
                identifier,
                resources: vec![resource],
                secure: callback.scheme() == "https",
                asserts: server.is_told_by_assertion(),
                callback,
            });
        }
        Self { all: all.into_iter().map(Arc::new).collect(), origins }
    }

    /// The issuer that a request is for. The edge says so in a header of its own; where there is only one
    /// issuer, it need not. `Host` has no say: whoever sends the request chooses that.
    pub fn named(&self, origin: Option<&str>) -> Option<Arc<Issuer>> {
        match (origin, self.all.as_slice()) {
            (Some(origin), all) => all.iter().find(|issuer| issuer.identifier == origin).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    /// The origins: no client's redirect URI may be on one.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }
}

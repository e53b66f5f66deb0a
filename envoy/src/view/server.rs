//! An MCP server: its route, and the cluster that it leads to.

use url::{Host, Position, Url};

use super::{Address, Quoted, RateView};
use crate::host_port::address;
use crate::{Limits, RenderError, Server};

pub(super) struct ServerView {
    pub(super) name: Quoted,
    /// Names the cluster, and the route too.
    pub(super) cluster: Quoted,
    pub(super) path: Quoted,
    pub(super) rewrite: Rewrite,
    /// What the MCP server gets as Host.
    pub(super) authority: Quoted,
    pub(super) upstream: Address,
    pub(super) tls: Option<UpstreamTls>,
    pub(super) rate: RateView,
}

/// How the public path becomes the upstream's.
pub(super) enum Rewrite {
    /// `/demo/mcp` becomes `/mcp`, `/demo/mcp/x` becomes `/mcp/x`.
    Prefix(Quoted),
    /// The upstream's path ends with a slash, which must not come twice.
    Directory {
        /// A regular expression.
        prefix: Quoted,
        path: Quoted,
    },
}

/// Whose certificate the upstream must show.
pub(super) struct UpstreamTls {
    /// None for an address: SNI knows names only (RFC 6066 section 3).
    pub(super) sni: Option<Quoted>,
    /// `DNS` or `IP_ADDRESS`.
    pub(super) san_type: &'static str,
    pub(super) san: Quoted,
}

/// A server's path as a regular expression: of what such a path may contain, only the dot is special.
pub(super) fn regex_literal(path: &str) -> String {
    path.replace('.', r"\.")
}

// === impl ServerView ===

impl ServerView {
    pub(super) fn new(server: &Server, limits: &Limits) -> Result<Self, RenderError> {
        let url = &server.upstream;
        let Some((host, port)) = url.host().zip(url.port_or_known_default()) else {
            return Err(RenderError::Upstream {
                server: server.name.clone(),
                upstream: Box::new(url.clone()),
            });
        };
        let address = address(&host);
        Ok(Self {
            name: Quoted::new(&server.name),
            cluster: Quoted::new(format!("mcp_{}", server.name)),
            path: Quoted::new(&server.path),
            rewrite: Rewrite::new(&server.path, url),
            authority: Quoted::new(&url[Position::BeforeHost..Position::AfterPort]),
            tls: (url.scheme() == "https").then(|| UpstreamTls::new(&host, &address)),
            upstream: Address { host: Quoted::new(address), port },
            rate: RateView::from(limits.mcp),
        })
    }
}

// === impl Rewrite ===

impl Rewrite {
    fn new(public: &str, upstream: &Url) -> Self {
        let path = upstream.path();
        if path.ends_with('/') {
            let prefix = Quoted::new(format!("^{}/?", regex_literal(public)));
            return Self::Directory { prefix, path: Quoted::new(path) };
        }
        Self::Prefix(Quoted::new(path))
    }
}

// === impl UpstreamTls ===

impl UpstreamTls {
    fn new(host: &Host<&str>, address: &str) -> Self {
        match host {
            Host::Domain(name) => {
                Self { sni: Some(Quoted::new(*name)), san_type: "DNS", san: Quoted::new(*name) }
            }
            Host::Ipv4(_) | Host::Ipv6(_) => {
                Self { sni: None, san_type: "IP_ADDRESS", san: Quoted::new(address) }
            }
        }
    }
}

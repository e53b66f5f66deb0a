//! A virtual host and its routes to the control plane.

use std::cmp::Reverse;
use std::fmt;

use url::Origin;

use super::server::{ServerView, regex_literal};
use super::{Quoted, RateView};
use crate::routes::{Match, OAUTH, OAuthRoute, READ};
use crate::{Limits, RenderError, Server, VirtualHost};

pub(super) struct HostView {
    pub(super) origin: Quoted,
    pub(super) domains: Vec<Quoted>,
    /// Below the servers' paths. None where there is no server.
    pub(super) appended: Option<OAuthView>,
    /// A path below another comes first: Envoy takes the first route that matches.
    pub(super) servers: Vec<ServerView>,
    pub(super) oauth_routes: Vec<OAuthView>,
}

pub(super) struct OAuthView {
    pub(super) name: Quoted,
    pub(super) matches: Matches,
    pub(super) methods: Quoted,
    pub(super) has_body: bool,
    pub(super) rate: RateView,
}

/// The path part of Envoy's `RouteMatch`.
pub(super) enum Matches {
    Path(Quoted),
    Below(Quoted),
    Regex(Quoted),
}

/// The authorities that clients of `origin` send. Most leave the port out where it is the scheme's own; Envoy
/// compares the whole text.
pub(crate) fn authorities(origin: &Origin) -> Result<Vec<String>, RenderError> {
    let Origin::Tuple(scheme, host, port) = origin else { return Err(RenderError::Origin) };
    let with_port = format!("{host}:{port}");
    match (scheme.as_str(), port) {
        ("http", 80) | ("https", 443) => Ok(vec![host.to_string(), with_port]),
        ("http" | "https", _) => Ok(vec![with_port]),
        _ => Err(RenderError::Origin),
    }
}

// === impl HostView ===

impl HostView {
    pub(super) fn new(host: &VirtualHost, limits: &Limits) -> Result<Self, RenderError> {
        let mut servers: Vec<&Server> = host.servers.iter().collect();
        servers.sort_by_key(|server| Reverse(server.path.len()));
        Ok(Self {
            origin: Quoted::new(host.origin.ascii_serialization()),
            domains: authorities(&host.origin)?.into_iter().map(Quoted::new).collect(),
            appended: (!servers.is_empty()).then(|| OAuthView::appended(&servers, limits)),
            servers: servers
                .iter()
                .map(|server| ServerView::new(server, limits))
                .collect::<Result<_, _>>()?,
            oauth_routes: OAUTH.iter().map(|route| OAuthView::new(route, limits)).collect(),
        })
    }
}

// === impl OAuthView ===

impl OAuthView {
    fn new(route: &OAuthRoute, limits: &Limits) -> Self {
        Self {
            name: Quoted::new(route.name),
            matches: match route.matches {
                Match::Path(path) => Matches::Path(Quoted::new(path)),
                Match::Below(path) => Matches::Below(Quoted::new(path)),
                Match::Regex(regex) => Matches::Regex(Quoted::new(regex)),
            },
            methods: Quoted::new(route.methods),
            has_body: route.has_body,
            rate: RateView::from((route.rate)(limits)),
        }
    }

    /// The authorization server's metadata where clients append the well-known path to an MCP server's
    /// (`OpenID` Connect Discovery 1.0 section 4; some do the same with RFC 8414). One route, and its rate limits, for all
    /// servers of the host.
    fn appended(servers: &[&Server], limits: &Limits) -> Self {
        let paths: Vec<_> = servers.iter().map(|server| regex_literal(&server.path)).collect();
        let documents = "openid-configuration|oauth-authorization-server";
        let regex = format!(r"({})/\.well-known/({documents})", paths.join("|"));
        Self {
            name: Quoted::new("metadata-appended"),
            matches: Matches::Regex(Quoted::new(regex)),
            methods: Quoted::new(READ),
            has_body: false,
            rate: RateView::from(limits.browser),
        }
    }
}

// === impl Matches ===

impl fmt::Display for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "path: {path}"),
            Self::Below(path) => write!(f, "path_separated_prefix: {path}"),
            Self::Regex(regex) => write!(f, "safe_regex: {{ regex: {regex} }}"),
        }
    }
}

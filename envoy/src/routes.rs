//! Every route of the OAuth surface.

use crate::{Limits, Rate};

/// A route to the control plane.
pub(crate) struct OAuthRoute {
    pub(crate) name: &'static str,
    pub(crate) matches: Match,
    /// A regular expression.
    pub(crate) methods: &'static str,
    /// Whether a request has a body, 64 KiB at most.
    pub(crate) has_body: bool,
    pub(crate) rate: fn(&Limits) -> Rate,
}

/// Which paths.
pub(crate) enum Match {
    /// This one.
    Path(&'static str),
    /// This one and all below it.
    Below(&'static str),
    /// The whole path matches.
    Regex(&'static str),
}

/// First segments of the paths below: no MCP server may have them, since the servers' routes come first.
pub(crate) const RESERVED: [&str; 12] = [
    ".well-known",
    "register",
    "token",
    "revoke",
    "authorize",
    "consent",
    "callback",
    "user-token",
    "account",
    "provider-clients",
    "assets",
    "openapi.json",
];

/// What reads, and answers CORS preflights.
pub(crate) const READ: &str = "GET|HEAD|OPTIONS";

/// The routes that every origin has. The metadata documents of an MCP server are also where clients append their
/// well-known path to the server's: that route comes from the paths of all servers.
pub(crate) const OAUTH: [OAuthRoute; 13] = [
    OAuthRoute {
        // With the server's path inserted behind the well-known one (RFC 9728 section 3.1, RFC 8414 section 3.1),
        // or without (MCP 2025-03-26).
        name: "metadata",
        matches: Match::Regex(
            r"/\.well-known/(oauth-protected-resource|oauth-authorization-server|openid-configuration)(/.*)?",
        ),
        methods: READ,
        has_body: false,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "jwks",
        matches: Match::Path("/.well-known/jwks.json"),
        methods: READ,
        has_body: false,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "openapi",
        matches: Match::Path("/openapi.json"),
        methods: READ,
        has_body: false,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "register",
        matches: Match::Path("/register"),
        methods: "POST|OPTIONS",
        has_body: true,
        rate: |limits| limits.register,
    },
    OAuthRoute {
        name: "token",
        matches: Match::Path("/token"),
        methods: "POST|OPTIONS",
        has_body: true,
        rate: |limits| limits.token,
    },
    OAuthRoute {
        name: "revoke",
        matches: Match::Path("/revoke"),
        methods: "POST|OPTIONS",
        has_body: true,
        rate: |limits| limits.token,
    },
    OAuthRoute {
        name: "authorize",
        matches: Match::Path("/authorize"),
        methods: "GET",
        has_body: false,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "consent",
        matches: Match::Path("/consent"),
        methods: "POST",
        has_body: true,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "callback",
        matches: Match::Path("/callback"),
        methods: "GET",
        has_body: false,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "user-token",
        matches: Match::Path("/user-token"),
        methods: "POST",
        has_body: true,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "account",
        matches: Match::Below("/account"),
        methods: "GET|HEAD|POST",
        has_body: true,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        // Metadata documents that providers fetch.
        name: "provider-clients",
        matches: Match::Below("/provider-clients"),
        methods: "GET|HEAD",
        has_body: false,
        rate: |limits| limits.browser,
    },
    OAuthRoute {
        name: "assets",
        matches: Match::Below("/assets"),
        methods: "GET|HEAD",
        has_body: false,
        rate: |limits| limits.browser,
    },
];

//! How much is let in.

use std::time::Duration;

/// How much is let in. Every value has a default; none may be zero.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Registrations: 60 a minute from one address, 600 in all.
    pub register: Rate,
    /// Requests to `/token` and `/revoke`, each: 6,000 a minute from one address, 60,000 in all.
    pub token: Rate,
    /// Requests to every other OAuth route, each: 1,200 a minute from one address, 60,000 in all.
    pub browser: Rate,
    /// Requests to one MCP server: 60,000 a minute from one address, 600,000 in all. Hosted clients bring many users
    /// from one address.
    pub mcp: Rate,
    /// The largest request body, in bytes: 4 MiB. OAuth routes take 64 KiB at most.
    pub body_bytes: u32,
    /// How long one request to an MCP server may last, its event stream included: 15 min.
    pub stream: Duration,
}

/// Requests a minute, refilled evenly; also the largest burst. An IPv6 /64 counts as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// From one client address.
    pub per_address: u32,
    /// From all of them together.
    pub overall: u32,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            register: Rate { per_address: 60, overall: 600 },
            token: Rate { per_address: 6_000, overall: 60_000 },
            browser: Rate { per_address: 1_200, overall: 60_000 },
            mcp: Rate { per_address: 60_000, overall: 600_000 },
            body_bytes: 4 << 20,
            stream: Duration::from_mins(15),
        }
    }
}

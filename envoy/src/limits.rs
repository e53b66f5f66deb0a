//! How much is let in.

use std::time::Duration;

/// How much is let in. Every value has a default; none may be zero.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Registrations: 60 a minute from one address, 3,000 in all.
    pub register: Rate,
    /// Requests to `/token` and `/revoke`, each: 3,000 a minute from one address, 150,000 in all.
    pub token: Rate,
    /// Requests to every other OAuth route, each: 1,200 a minute from one address, 60,000 in all.
    pub browser: Rate,
    /// Requests to one MCP server: 60,000 a minute from one address, 3,000,000 in all. Hosted clients bring many users
    /// from one address.
    pub mcp: Rate,
    /// GETs of one user to one MCP server, most of which open an event stream: 120 a minute.
    pub streams_per_user: u32,
    /// The largest request body, in bytes: 4 MiB. OAuth routes take 64 KiB at most.
    pub body_bytes: u32,
    /// How long one request to an MCP server may last, its event stream included: 15 min.
    pub stream: Duration,
    /// How long a request, its body included, may take to come: 60 s.
    pub request: Duration,
    /// How long nothing may come either way in an exchange with an MCP server: 10 min.
    pub idle_stream: Duration,
    /// How long a client's connection may have no request under way before it is drained, which takes 5 s: 60 s. Less where
    /// room gets scarce.
    pub idle_connection: Duration,
    /// Connections of clients, all together: 20,000.
    pub connections: u32,
}

/// Requests a minute, refilled evenly; also the largest burst. An IPv6 /64 counts as one address. A whole /48, which one
/// customer may have, gets three times as much as that. So it takes many customers to use up what there is for all.
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
            register: Rate { per_address: 60, overall: 3_000 },
            token: Rate { per_address: 3_000, overall: 150_000 },
            browser: Rate { per_address: 1_200, overall: 60_000 },
            mcp: Rate { per_address: 60_000, overall: 3_000_000 },
            streams_per_user: 120,
            body_bytes: 4 << 20,
            stream: Duration::from_mins(15),
            request: Duration::from_mins(1),
            idle_stream: Duration::from_mins(10),
            idle_connection: Duration::from_mins(1),
            connections: 20_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t17_no_default_lets_a_few_customers_use_up_what_there_is_for_all() {
        let Limits { register, token, browser, mcp, .. } = Limits::default();
        for rate in [register, token, browser, mcp] {
            assert!(rate.overall >= 50 * rate.per_address, "{rate:?}");
        }
    }
}

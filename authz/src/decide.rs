//! The decision: a pure function of the server, the token's record, the tombstones and the time.

use portcullis_proto::record::TokenRecord;
use portcullis_proto::time::Timestamp;

use crate::catalog::Server;
use crate::replica::tombstones::Tombstones;

/// The right to let one request through. Only [`decide`] makes one.
#[derive(Debug)]
pub struct Permit<'a> {
    record: &'a TokenRecord,
}

/// How a request goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With a credential in its token's place.
    Allowed,
    /// Unchanged, with a token of the MCP server's own.
    PassedThrough,
}

/// Why a request does not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The token will not do: the client must do something about it.
    Refused(Refusal),
    /// Nothing can be said about the token at the moment: the client should ask again.
    Undecided(Outage),
}

/// What is wrong with the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none.
    MissingToken,
    /// The Authorization header is not one bearer token of ours.
    Malformed,
    /// No such token was issued, or it is gone.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was issued for another MCP server (RFC 8707).
    WrongServer,
    /// It was revoked.
    Revoked,
    /// It is good, but lacks a scope that every request to this server needs.
    InsufficientScope,
}

/// Why nothing can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// The edge names a server that the catalog does not have, or names none: their configurations differ.
    UnknownServer,
    /// The replica has not caught up with the revocation log, or has not heard of it for too long.
    Stale,
    /// This machine's clock and the control plane's disagree: no token's end can be judged.
    ClockSkew,
    /// The replica was told to start over while this request was under way.
    StartedOver,
    /// The clock is behind a time by which the replica has removed what concerned the token.
    ClockWentBack,
    /// The replica's store could not be read.
    Store,
    /// The control plane could not be asked about the token, or had no usable credential for it.
    Unresolved,
    /// The credential has expired, and a new one did not come in time.
    CredentialExpired,
    /// The credential does not open, or is not a set of header fields.
    CredentialUnusable,
}

/// Decides whether a token may be used at `server` at the moment `now`.
pub fn decide<'a>(
    server: &Server,
    record: &'a TokenRecord,
    tombstones: &Tombstones,
    now: Timestamp,
) -> Result<Permit<'a>, Refusal> {
    if record.server != server.name {
        return Err(Refusal::WrongServer);
    }
    if record.expires_at <= now {
        return Err(Refusal::Expired);
    }
    if tombstones.hit(record) {
        return Err(Refusal::Revoked);
    }
    if !server.required_scopes.iter().all(|scope| record.scopes.iter().any(|own| own == scope)) {
        return Err(Refusal::InsufficientScope);
    }
    Ok(Permit { record })
}

// === impl Permit ===

impl<'a> Permit<'a> {
    /// The token that may be used.
    pub fn record(&self) -> &'a TokenRecord {
        self.record
    }
}

// === impl Way ===

impl Way {
    /// Each, in the order of their declaration.
    pub const ALL: [Self; 2] = [Self::Allowed, Self::PassedThrough];

    /// A word for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::PassedThrough => "passthrough",
        }
    }
}

// === impl Denial ===

impl Denial {
    /// A word for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Undecided(outage) => outage.reason(),
        }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Outage> for Denial {
    fn from(outage: Outage) -> Self {
        Self::Undecided(outage)
    }
}

impl Refusal {
    /// Each, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::MissingToken,
        Self::Malformed,
        Self::Unknown,
        Self::Expired,
        Self::WrongServer,
        Self::Revoked,
        Self::InsufficientScope,
    ];

    /// A word for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::WrongServer => "wrong_server",
            Self::Revoked => "revoked",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

impl Outage {
    /// Each, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::UnknownServer,
        Self::Stale,
        Self::ClockSkew,
        Self::StartedOver,
        Self::ClockWentBack,
        Self::Store,
        Self::Unresolved,
        Self::CredentialExpired,
        Self::CredentialUnusable,
    ];

    /// A word for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownServer => "unknown_server",
            Self::Stale => "stale",
            Self::ClockSkew => "clock_skew",
            Self::StartedOver => "started_over",
            Self::ClockWentBack => "clock_went_back",
            Self::Store => "store",
            Self::Unresolved => "unresolved",
            Self::CredentialExpired => "credential_expired",
            Self::CredentialUnusable => "credential_unusable",
        }
    }
}

#[cfg(test)]
mod tests;

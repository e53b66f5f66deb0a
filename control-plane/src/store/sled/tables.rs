//! The tables of the one sled tree, and the single values beside them.

/// What a row is: the first byte of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Single values about the store itself.
    Meta,
    /// Registered clients.
    Client,
    /// Which clients nobody has logged in with or is about to, in the order of their ends.
    Unused,
    /// Unused clients that somebody is about to log in with.
    Busy,
    /// What is good once and has been used.
    Used,
    /// Clients at providers.
    ProviderClient,
    /// Logins under way.
    Pending,
    /// Logins that wait for a token of the user's own.
    Enrolment,
    /// Authorization codes.
    Code,
    /// Grants.
    Grant,
    /// Access tokens.
    Access,
    /// Refresh tokens.
    Refresh,
    /// Tokens of users' own.
    UserToken,
    /// Sessions on the account page.
    Session,
    /// Which logins, enrolments and sessions one browser or user has.
    HeldBy,
    /// Which grants a user has.
    GrantOf,
    /// Which access tokens a grant has.
    AccessOf,
    /// What wide revocations have ended.
    Cutoff,
    /// The revocation log.
    Log,
    /// Which row to look at when.
    Expiry,
}

/// A single value about the store itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meta {
    /// Whose store this is, and in which format.
    Format,
    /// The log's head.
    Head,
    /// The oldest position from which the log can be followed.
    Base,
    /// The latest expiry of any access token ever issued.
    LatestAccessExpiry,
    /// How many clients nobody has logged in with.
    UnusedClients,
    /// How many clients there are at providers.
    ProviderClients,
    /// How many logins are under way.
    Logins,
    /// How many logins wait for a token of the user's own.
    Enrolments,
    /// How many sessions there are on the account page.
    Sessions,
    /// That every grant's user has been noted.
    GrantsOfUsers,
    /// How far the sweeper has come in looking for grants that a wide revocation has ended.
    Pass,
    /// Which cutoffs the sweeper may remove, and from when on.
    Aging,
    /// The latest of the cutoffs that it has removed.
    Uncut,
    /// The time that sweeps have noted.
    SweptAt,
}

// === impl Table ===

impl Table {
    pub(super) const ALL: [Self; 20] = [
        Self::Meta,
        Self::Client,
        Self::Unused,
        Self::Busy,
        Self::Used,
        Self::ProviderClient,
        Self::Pending,
        Self::Enrolment,
        Self::Code,
        Self::Grant,
        Self::Access,
        Self::Refresh,
        Self::UserToken,
        Self::Session,
        Self::HeldBy,
        Self::GrantOf,
        Self::AccessOf,
        Self::Cutoff,
        Self::Log,
        Self::Expiry,
    ];

    pub(super) const fn prefix(self) -> u8 {
        match self {
            Self::Meta => b'm',
            Self::Client => b'c',
            Self::Unused => b'f',
            Self::Busy => b'n',
            Self::Used => b'j',
            Self::ProviderClient => b'd',
            Self::Pending => b'p',
            Self::Code => b'o',
            Self::Grant => b'g',
            Self::Access => b'a',
            Self::Refresh => b'r',
            Self::Enrolment => b'e',
            Self::UserToken => b't',
            Self::Session => b's',
            Self::HeldBy => b'k',
            Self::GrantOf => b'h',
            Self::AccessOf => b'b',
            Self::Cutoff => b'u',
            Self::Log => b'l',
            Self::Expiry => b'x',
        }
    }
}

// === impl Meta ===

impl Meta {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Head => "head",
            Self::Base => "base",
            Self::LatestAccessExpiry => "latest-access-expiry",
            Self::UnusedClients => "unused-clients",
            Self::ProviderClients => "provider-clients",
            Self::Logins => "logins",
            Self::Enrolments => "enrolments",
            Self::Sessions => "sessions",
            Self::GrantsOfUsers => "grants-of-users",
            Self::Pass => "pass",
            Self::Aging => "aging",
            Self::Uncut => "uncut",
            Self::SweptAt => "swept-at",
        }
    }
}

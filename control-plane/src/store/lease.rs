//! The right to ask a provider for the next version of what it gave for a grant.

use portcullis_proto::ids::GrantId;

use crate::oauth::renewal::Busy;

/// One attempt at replacing one version of a grant's upstream. Only a store makes it, and it is spent by saying
/// how the attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) grant: GrantId,
    pub(super) version: u64,
    pub(super) attempt: u32,
}

/// What became of asking for a lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Leasing {
    /// Nobody else has it.
    Leased(Lease),
    /// Not now.
    Busy(Busy),
    /// That version has been replaced.
    Overtaken,
    /// There is no such grant, or it has been revoked.
    Gone,
}

// === impl Lease ===

impl Lease {
    /// Which attempt at this version it is, from 1: those before it have failed, or were never ended.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

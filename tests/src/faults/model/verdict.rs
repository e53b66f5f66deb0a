//! What must not happen.

use std::fmt;

/// A promise that was not kept, with an account of what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which promise.
    pub kind: Kind,
    /// What happened.
    pub account: String,
}

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that was acknowledged is not there any more, or its user is logged out.
    Lost,
    /// Something that was revoked is accepted.
    Resurrected,
    /// A part has not recovered.
    Stuck,
}

// === impl Verdict ===

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.account)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "LOST",
            Self::Resurrected => "RESURRECTED",
            Self::Stuck => "STUCK",
        })
    }
}

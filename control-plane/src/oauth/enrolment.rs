//! A login that waits for a token of the user's own: between the provider's answer and the form's.

use std::time::Duration;

use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::grant::Grant;
use super::hash::sha256;
use super::pending::{AuthorizationRequest, BrowserId};
use super::user_token::Holder;

/// How long the user has. Long enough to make a token elsewhere.
pub const LIFETIME: Duration = Duration::from_mins(10);
/// How many tokens may be tried: nobody finds one by trying.
pub const ATTEMPTS: u32 = 10;

/// SHA-256 of the identifier that is in the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnrolmentId(pub [u8; 32]);

/// Stored under its [`EnrolmentId`] until the user's token is accepted; used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// What the user approved.
    pub request: AuthorizationRequest,
    /// What it will become: ready but for its times, and worth nothing before it is stored as a grant. Its `born`
    /// is the revocation log's head when the enrolment was stored, set by the store: what is revoked meanwhile
    /// ends the enrolment too.
    pub grant: Grant,
    /// The browser in which the user approved and logged in: the only one whose form counts.
    pub browser: BrowserId,
    /// How many tokens have been tried.
    pub attempts: u32,
    /// From when on the form comes too late.
    pub expires_at: Timestamp,
}

// === impl EnrolmentId ===

impl EnrolmentId {
    /// Of the form's identifier.
    pub fn of(id: &str) -> Self {
        Self(sha256(id))
    }
}

// === impl Enrolment ===

impl Enrolment {
    /// Whether this browser may go on with it.
    pub fn is_open_to(&self, browser: &BrowserId, now: Timestamp) -> bool {
        self.browser == *browser && now < self.expires_at
    }

    /// Counts one more token that is going to be tried; `None` where there have been enough.
    #[must_use]
    pub fn attempted(self) -> Option<Self> {
        (self.attempts < ATTEMPTS).then(|| Self { attempts: self.attempts + 1, ..self })
    }

    /// Whether the token that is being tried is the last one.
    pub const fn is_last_attempt(&self) -> bool {
        self.attempts >= ATTEMPTS
    }

    /// Whose token is waited for.
    pub fn holder(&self) -> Holder {
        Holder::of(&self.grant)
    }
}

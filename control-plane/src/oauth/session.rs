//! Sessions on the account page: who has logged in there, for a quarter of an hour.

use std::time::Duration;

use portcullis_proto::ids::{ProviderName, Sequence, Subject};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::hash::sha256;

/// How long a session lives, however much it is used.
pub const LIFETIME: Duration = Duration::from_mins(15);
/// Most sessions that one user may have at a time: more than anybody has devices for.
pub const MOST_OF_A_USER: usize = 10;
/// How many tokens may be tried in one.
pub const ATTEMPTS: u32 = 10;

/// SHA-256 of the session's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 32]);

/// Stored under its [`SessionId`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The issuer on whose account page it is good. Cookies do not tell ports apart.
    pub issuer: String,
    /// Where the user logged in.
    pub provider: ProviderName,
    /// Who that is.
    pub subject: Subject,
    /// The e-mail address, where the provider named one.
    pub email: Option<String>,
    /// How many tokens have been tried.
    pub attempts: u32,
    /// The revocation log's head when the user's login was decided.
    pub born: Sequence,
    /// From when on it is over.
    pub expires_at: Timestamp,
}

// === impl SessionId ===

impl SessionId {
    /// Of the cookie's value.
    pub fn of(cookie: &str) -> Self {
        Self(sha256(cookie))
    }
}

// === impl Session ===

impl Session {
    /// The scopes that a revocation must have to end this session.
    pub fn revoked_by(&self) -> [Scope; 2] {
        [Scope::Subject(self.provider.clone(), self.subject.clone()), Scope::Everything]
    }

    /// Counts one more token that is going to be tried; `None` where there have been enough.
    #[must_use]
    pub fn attempted(self) -> Option<Self> {
        (self.attempts < ATTEMPTS).then(|| Self { attempts: self.attempts + 1, ..self })
    }

    /// What pages call the user.
    pub fn user(&self) -> &str {
        self.email.as_deref().unwrap_or(self.subject.as_str())
    }
}

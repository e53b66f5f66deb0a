//! What an OpenID provider says of a user: the ID token's claims, and userinfo's for those that it lacks.

use portcullis_proto::ids::Subject;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::oauth::admission::{Facts, Questions};
use crate::provider::{Identity, ProviderError, identity};

/// Where claims are said to be that are not in the token (OpenID Connect Core section 5.6.2). Nobody asks there.
const ELSEWHERE: &str = "_claim_names";

/// What is said of one user.
#[derive(Debug)]
pub(super) struct User {
    pub(super) subject: Subject,
    pub(super) claims: Map<String, Value>,
}

/// The userinfo response (OpenID Connect Core section 5.3.2).
#[derive(Deserialize)]
pub(super) struct UserInfo {
    sub: String,
    #[serde(flatten)]
    claims: Map<String, Value>,
}

// === impl User ===

impl User {
    /// Whether there is no e-mail address yet.
    pub(super) fn lacks_email(&self) -> bool {
        identity::email(self.claims.get("email")).is_none()
    }

    /// Whether something is asked about that has not been said yet.
    pub(super) fn leaves_open(&self, questions: &Questions) -> bool {
        let email = self.lacks_email() || !self.claims.contains_key("email_verified");
        (questions.email && email) || questions.claims.iter().any(|name| !self.claims.contains_key(name))
    }

    /// Adds what userinfo says. What has been said stays. Without the check, another user's answer could be slipped
    /// in (OpenID Connect Core section 5.3.2).
    pub(super) fn add(&mut self, userinfo: UserInfo) -> Result<(), ProviderError> {
        if userinfo.sub != self.subject.as_str() {
            let why = "userinfo is about another user than the ID token";
            return Err(ProviderError::Malformed(why.into()));
        }
        let mut further = userinfo.claims;
        // That an address is verified is said of that address, not of another one.
        if self.lacks_email() {
            self.claims.remove("email");
            self.claims.remove("email_verified");
        } else if further.get("email") != self.claims.get("email") {
            further.remove("email_verified");
        }
        for (name, value) in further {
            self.claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// Who it is, by the standard's claims.
    pub(super) fn identity(&self, questions: &Questions) -> Identity {
        let elsewhere = self.claims.get(ELSEWHERE);
        for name in &questions.claims {
            if !self.claims.contains_key(name) && elsewhere.is_some_and(|names| names.get(name).is_some()) {
                tracing::warn!(
                    claim = name,
                    "the provider keeps a claim back and says where it is; it counts as not there"
                );
            }
        }
        Identity {
            subject: self.subject.clone(),
            email: identity::email(self.claims.get("email")),
            facts: Facts {
                email_verified: identity::is_true(self.claims.get("email_verified")),
                claims: identity::claims(&self.claims, questions),
                ..Facts::default()
            },
        }
    }
}

// === impl UserInfo ===

impl UserInfo {
    /// The user, where there is no ID token to compare with.
    pub(super) fn alone(self) -> Result<User, ProviderError> {
        let subject = identity::subject(&self.sub)
            .ok_or_else(|| ProviderError::Malformed("`sub` of userinfo is no identifier".into()))?;
        Ok(User { subject, claims: self.claims })
    }
}

//! Where a provider departs from what OpenID Connect says, or lets only some of its users in.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use super::Claims;
use crate::provider::{Identity, ProviderError};

/// What differs. Each rule's default is the standard's.
pub(in crate::provider) trait Rules: fmt::Debug + Send + Sync {
    /// What every login asks for.
    fn scopes(&self) -> &'static [&'static str] {
        &["openid"]
    }

    /// Whether the provider configured as `configured` may call itself `issuer` in its discovery document
    /// (OpenID Connect Discovery section 4.3) and in authorization responses (RFC 9207 section 2.4).
    fn is_issuer(&self, configured: &str, issuer: &str) -> bool {
        issuer == configured
    }

    /// What `iss` of this token must be. `discovered` is what the discovery document says.
    fn token_issuer<'a>(&self, discovered: &'a str, _claims: &Claims) -> Result<Cow<'a, str>, ProviderError> {
        Ok(Cow::Borrowed(discovered))
    }

    /// Whether this user may log in, and under which identity; what the provider's own claims say is added. They have
    /// been checked.
    fn admit(&self, _claims: &Map<String, Value>, identity: Identity) -> Result<Identity, ProviderError> {
        Ok(identity)
    }

    /// Whether userinfo can be asked for what the ID token lacks.
    fn has_userinfo(&self) -> bool {
        true
    }
}

/// No departure.
#[derive(Debug)]
pub(super) struct Standard;

// === impl Standard ===

impl Rules for Standard {}

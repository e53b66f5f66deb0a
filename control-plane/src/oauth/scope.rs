//! Scopes (RFC 6749 section 3.3).

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A list of scope tokens without repetition, in the order in which they were named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

/// Why a scope is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ScopeError {
    /// No scope token, or a character that none may have.
    #[error("scope is empty, or has a character that is not allowed")]
    Syntax,
    /// More than the server offers, or than was granted.
    #[error("scope {0} cannot be granted")]
    NotOffered(String),
}

// === impl Scopes ===

impl Scopes {
    /// From tokens known to be well formed, such as the configuration's.
    pub fn from_tokens(tokens: impl IntoIterator<Item = String>) -> Self {
        let mut scopes = Vec::new();
        for token in tokens {
            if !scopes.contains(&token) {
                scopes.push(token);
            }
        }
        Self(scopes)
    }

    /// From a `scope` parameter: tokens with blanks between them.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let tokens = text.split(' ').filter(|token| !token.is_empty());
        if tokens.clone().next().is_none() || !tokens.clone().all(is_scope_token) {
            return Err(ScopeError::Syntax);
        }
        Ok(Self::from_tokens(tokens.map(ToOwned::to_owned)))
    }

    /// These, where every one of them is also in `offered`.
    pub fn within(self, offered: &Self) -> Result<Self, ScopeError> {
        match self.0.iter().find(|scope| !offered.0.contains(scope)) {
            Some(scope) => Err(ScopeError::NotOffered(scope.clone())),
            None => Ok(self),
        }
    }

    /// What of these is in `offered`; refused where that is nothing. Clients ask for scopes that they know from
    /// elsewhere (RFC 6749 section 3.3 lets a server ignore some of them); the answer says what was granted.
    pub fn offered_by(self, offered: &Self) -> Result<Self, ScopeError> {
        let (known, unknown): (Vec<_>, Vec<_>) =
            self.0.into_iter().partition(|scope| offered.0.contains(scope));
        match unknown.into_iter().next() {
            Some(scope) if known.is_empty() => Err(ScopeError::NotOffered(scope)),
            _ => Ok(Self(known)),
        }
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The tokens.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The tokens.
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
pub fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_separate_and_repetition_goes() {
        assert_eq!(Scopes::parse("  openid email  openid ").unwrap().to_string(), "openid email");
    }

    #[test]
    fn nothing_at_all_and_odd_characters_are_refused() {
        for text in ["", "  ", "a\"b", "a\\b", "a\tb", "é", "a\u{7f}"] {
            assert_eq!(Scopes::parse(text), Err(ScopeError::Syntax), "{text:?}");
        }
    }

    #[test]
    fn nothing_beyond_the_offer() {
        let offered = Scopes::parse("openid email").unwrap();
        assert!(Scopes::parse("email").unwrap().within(&offered).is_ok());
        let refused = Scopes::parse("email admin").unwrap().within(&offered);
        assert_eq!(refused, Err(ScopeError::NotOffered("admin".into())));
    }

    #[test]
    fn scopes_from_elsewhere_are_left_out_unless_nothing_remains() {
        let offered = Scopes::parse("openid email").unwrap();
        let asked = |text| Scopes::parse(text).unwrap().offered_by(&offered).map(|scopes| scopes.to_string());
        assert_eq!(asked("profile email offline_access"), Ok("email".into()));
        assert_eq!(asked("admin profile"), Err(ScopeError::NotOffered("admin".into())));
    }
}

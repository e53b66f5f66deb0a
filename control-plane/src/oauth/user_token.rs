//! Tokens that users have given us for an MCP server.

use std::borrow::Cow;

use portcullis_proto::ids::{ProviderName, ServerName, Subject};
use portcullis_proto::seal::{Field, KeyOwner, Owner, Sealed};
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::grant::Grant;

/// Longest token, in bytes.
const MAX_LEN: usize = 4096;

/// Whose token it is, and for which MCP server. There is one token for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Where the user logs in.
    pub provider: ProviderName,
    /// The user there.
    pub subject: Subject,
    /// The MCP server that gets the token.
    pub server: ServerName,
}

/// Stored under its [`Holder`]. Every client's grant of that user at that server uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserToken {
    /// When the user gave it.
    pub kept_at: Timestamp,
    /// Which master key the data key is sealed under.
    pub master_key: String,
    /// The data key, sealed under that master key.
    pub data_key: Sealed,
    /// The token, sealed under the data key.
    pub token: Sealed,
}

/// What a user has typed into the form, where it can be a token. Not yet known to be one.
#[derive(Clone, Debug)]
pub struct Pasted(SecretString);

/// Why a text cannot be a token. Nobody has been asked about it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PasteError {
    /// Nothing, or blanks only.
    #[error("there was no token in the field")]
    Empty,
    /// Longer than any token in use.
    #[error("that is too long for a token: {MAX_LEN} characters at most")]
    TooLong,
    /// A header field could not have it.
    #[error("a token has letters, digits and punctuation only, and no blanks inside")]
    Characters,
}

// === impl Holder ===

impl Holder {
    /// Whose token a grant uses.
    pub fn of(grant: &Grant) -> Self {
        Self {
            provider: grant.provider.clone(),
            subject: grant.subject.clone(),
            server: grant.server.clone(),
        }
    }
}

/// Names come length first, so that no two holders have the same bytes.
impl Owner for Holder {
    fn name(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::new();
        for name in [self.provider.as_str(), self.subject.as_str(), self.server.as_str()] {
            bytes.extend_from_slice(&(name.len() as u64).to_be_bytes());
            bytes.extend_from_slice(name.as_bytes());
        }
        Cow::Owned(bytes)
    }
}

impl KeyOwner for Holder {
    const DATA_KEY: Field = Field::DataKeyOfUserToken;
}

// === impl Pasted ===

impl Pasted {
    /// Takes off the blanks and line ends that come along with copying; the rest is 1 to 4096 visible ASCII
    /// characters.
    pub fn parse(text: &str) -> Result<Self, PasteError> {
        match text.trim() {
            "" => Err(PasteError::Empty),
            text if text.len() > MAX_LEN => Err(PasteError::TooLong),
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(PasteError::Characters),
            text => Ok(Self(text.into())),
        }
    }

    /// The token, for the header field that carries it.
    pub const fn secret(&self) -> &SecretString {
        &self.0
    }

    /// The token's bytes, for sealing.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_visible_ascii_without_what_copying_brings_along() {
        for text in ["ghp_abc", " ghp_abc\r\n", "\tghp_abc", "\u{a0}ghp_abc"] {
            assert_eq!(Pasted::parse(text).unwrap().expose(), b"ghp_abc", "{text:?}");
        }
        assert!(Pasted::parse(&"x".repeat(4096)).is_ok());
        for (text, error) in [
            ("", PasteError::Empty),
            (" \n", PasteError::Empty),
            ("ghp abc", PasteError::Characters),
            ("ghp\r\nx-evil: 1", PasteError::Characters),
            ("ghp\0", PasteError::Characters),
            ("ghp\u{e9}", PasteError::Characters),
            (&"x".repeat(4097), PasteError::TooLong),
        ] {
            assert_eq!(Pasted::parse(text).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn t18_a_pasted_token_is_not_shown() {
        let shown = format!("{:?}", Pasted::parse("s3cr3t").unwrap());
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    #[test]
    fn no_two_holders_have_the_same_name() {
        let holder = |provider, subject, server| Holder {
            provider: ProviderName::new(provider),
            subject: Subject::new(subject),
            server: ServerName::new(server),
        };
        let names = [holder("a", "bc", "d"), holder("ab", "c", "d"), holder("a", "b", "cd")];
        let names = names.map(|holder| holder.name().into_owned());
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    }
}

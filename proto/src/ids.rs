//! Identifiers. Each kind is a type of its own, so that none is taken for another. A copy costs nothing.

use std::fmt;

use aws_lc_rs::digest;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::random::{self, Random};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(ByteString);

        impl $name {
            /// Takes the text as it is: whoever calls knows that it names one.
            pub fn new(text: impl Into<ByteString>) -> Self {
                Self(text.into())
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    };
}

text_id! {
    /// One authorization by one user of one client at one MCP server.
    GrantId
}
text_id! {
    /// A registered client (RFC 6749 section 2.2).
    ClientId
}
text_id! {
    /// An MCP server's key under `servers` in the configuration, and in Envoy's `context_extensions`.
    ServerName
}
text_id! {
    /// A provider's key under `providers` in the configuration.
    ProviderName
}
text_id! {
    /// The provider's immutable identifier of a user: the ID token's `sub`.
    Subject
}
text_id! {
    /// One running authz instance, as operators name it.
    InstanceName
}

/// SHA-256 of a token's text: what is stored, logged and looked up in the token's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(#[serde(with = "crate::base64_text")] [u8; 32]);

/// The number of an entry in the revocation log: 1 for the first, 0 before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// Which revocation log: drawn at random when a control plane's store is created.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(#[serde(with = "crate::base64_text")] pub [u8; 16]);

// === impl GrantId ===

impl GrantId {
    /// A new identifier: 131 random bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self::new(random::base62(random, 22))
    }
}

// === impl ClientId ===

impl ClientId {
    /// A new identifier: 131 random bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self::new(random::base62(random, 22))
    }
}

// === impl TokenId ===

impl TokenId {
    /// Of a token with this text, whoever has made it.
    pub fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }

    /// A stored hash, where it has the right length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits: enough to find a token in a log, not to look one up.
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({})", self.short())
    }
}

// === impl Sequence ===

impl Sequence {
    /// The number of the entry after this one. The last number has none: it is its own, and no entry follows it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Epoch ===

impl Epoch {
    /// A new log's name.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random::bytes(random))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", hex(&self.0[..4]))
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]).collect()
}

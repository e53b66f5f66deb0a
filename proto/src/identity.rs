//! The identity headers, by which an MCP server knows who calls.

use std::fmt;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityHeader {
    /// The user, as the provider identifies it for ever.
    Subject,
    /// The user's e-mail address, as the provider gives it.
    Email,
    /// The client that the token was issued to.
    Client,
    /// The MCP server, as the configuration names it.
    Server,
    /// Where the user logged in, as the configuration names it.
    Provider,
    /// What the token is good for, separated by spaces (RFC 6749 section 3.3).
    Scopes,
    /// The login that the token comes from.
    Grant,
}

// === impl IdentityHeader ===

impl IdentityHeader {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Subject, Self::Email, Self::Client, Self::Server, Self::Provider, Self::Scopes, Self::Grant];

    /// The header field, in lower case.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Subject => "x-portcullis-subject",
            Self::Email => "x-portcullis-email",
            Self::Client => "x-portcullis-client",
            Self::Server => "x-portcullis-server",
            Self::Provider => "x-portcullis-provider",
            Self::Scopes => "x-portcullis-scopes",
            Self::Grant => "x-portcullis-grant",
        }
    }

    /// What the configuration and the catalog call it: the header behind the prefix that all have.
    pub fn name(self) -> &'static str {
        self.header().trim_start_matches("x-portcullis-")
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|identity| identity.name() == name)
    }
}

impl fmt::Display for IdentityHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_the_name_behind_the_prefix() {
        let names = IdentityHeader::ALL.map(IdentityHeader::name);
        assert_eq!(names, ["subject", "email", "client", "server", "provider", "scopes", "grant"]);
        for identity in IdentityHeader::ALL {
            assert_eq!(identity.header(), format!("x-portcullis-{}", identity.name()));
            assert_eq!(IdentityHeader::named(identity.name()), Some(identity));
        }
        assert_eq!(IdentityHeader::named("x-portcullis-subject"), None);
    }
}

//! Whose documents are fetched at all.

use std::net::{IpAddr, SocketAddr};

use super::address::is_public;
use crate::oauth::document_url::DocumentUrl;

/// `clients.metadata_documents` of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `allowed_domains`: whose clients may be used; `None` for everybody's.
    pub allowed_domains: Option<Vec<DomainPattern>>,
    /// `development`: what is allowed besides.
    pub development: Development,
}

/// `clients.metadata_documents.development`: nothing, by default.
#[derive(Clone, Debug, Default)]
pub struct Development {
    /// `addresses`: of documents on this very machine; all of them loopback addresses.
    pub addresses: Vec<SocketAddr>,
    /// `ca`: certificates, in PEM, that are trusted at these ports besides the machine's own.
    pub ca: Option<String>,
}

/// `example.com`, or `*.example.com` for every name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPattern {
    /// This host.
    Host(String),
    /// Every host whose name ends in a dot and this.
    Below(String),
}

// === impl Policy ===

impl Policy {
    /// Whether the policy trusts the host to say what a client is.
    pub fn trusts(&self, url: &DocumentUrl) -> bool {
        let patterns = self.allowed_domains.as_ref();
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.admits(url.host())))
    }

    /// The ports that are connected to.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        std::iter::once(443).chain(self.development.addresses.iter().map(SocketAddr::port))
    }

    /// Whether there may be a connection to this address: a public one at https's own port, or one that the
    /// configuration names.
    pub(super) fn reaches(&self, address: IpAddr, port: u16) -> bool {
        port == 443 && is_public(address)
            || self.development.addresses.contains(&SocketAddr::new(address, port))
    }
}

// === impl DomainPattern ===

impl DomainPattern {
    fn admits(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => host == name,
            Self::Below(domain) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(patterns: &[DomainPattern], host: &str) -> bool {
        let policy = Policy { allowed_domains: Some(patterns.to_vec()), ..Policy::default() };
        policy.trusts(&DocumentUrl::parse(&format!("https://{host}/c")).unwrap())
    }

    #[test]
    fn without_a_list_everybody_is_trusted_and_with_an_empty_one_nobody() {
        let url = DocumentUrl::parse("https://app.example/c").unwrap();
        assert!(Policy::default().trusts(&url));
        assert!(!trusts(&[], "app.example"));
    }

    #[test]
    fn a_name_is_itself_and_a_wildcard_everything_below() {
        let host = [DomainPattern::Host("app.example".into())];
        assert!(trusts(&host, "app.example") && trusts(&host, "app.example:8443"));
        for other in ["a.app.example", "xapp.example", "app.example.evil.example", "evil.example"] {
            assert!(!trusts(&host, other), "{other}");
        }
        let below = [DomainPattern::Below("app.example".into())];
        assert!(trusts(&below, "a.app.example") && trusts(&below, "a.b.app.example"));
        for other in ["app.example", "xapp.example", "a.app.example.evil.example"] {
            assert!(!trusts(&below, other), "{other}");
        }
    }

    #[test]
    fn only_what_is_public_or_named_is_connected_to() {
        let named: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let policy =
            Policy { development: Development { addresses: vec![named], ca: None }, ..Policy::default() };
        let reaches = |address: &str, port| policy.reaches(address.parse().unwrap(), port);
        assert!(reaches("1.1.1.1", 443) && reaches("127.0.0.1", 8443));
        assert!(!reaches("1.1.1.1", 8443) && !reaches("127.0.0.1", 443) && !reaches("127.0.0.2", 8443));
        assert!(!reaches("::ffff:127.0.0.1", 8443) && !reaches("10.0.0.1", 443));
        assert!(!Policy::default().reaches(named.ip(), named.port()));
    }
}

//! URLs of documents that clients publish about themselves: the client identifiers of
//! draft-ietf-oauth-client-id-metadata-document, section 3, and the `jwks_uri` that such a document may name.

use thiserror::Error;
use url::{Host, Url};

/// Longest URL, in bytes. As a client identifier it becomes part of headers, log lines and keys of the store.
pub const MAX_LEN: usize = 1024;

/// An https URL with a host name, in the one form that a parser gives it: whoever compares the text compares what
/// it means, so that no client has two identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DocumentUrl {
    url: Url,
    host: String,
    port: u16,
}

/// Why a URL cannot be one. The texts are for the client's developer, and for pages: they quote nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DocumentUrlError {
    /// Longer than [`MAX_LEN`].
    #[error("the URL is longer than {MAX_LEN} bytes")]
    TooLong,
    /// No URL, or no https one.
    #[error("the URL is not an https URL")]
    Scheme,
    /// An IP address, or a name that is none.
    #[error("the URL has an IP address, or no host name, as its host")]
    Host,
    /// `https://trusted@evil`.
    #[error("the URL has user information")]
    UserInfo,
    /// Never part of what is fetched.
    #[error("the URL has a fragment")]
    Fragment,
    /// Nothing behind the host.
    #[error("the URL has no path")]
    Path,
    /// Not in the form that a parser gives it.
    #[error(
        "the URL is not in its normal form (upper case, default port, dot segments, blanks or odd escapes)"
    )]
    NotNormal,
}

// === impl DocumentUrl ===

impl DocumentUrl {
    /// Whether a client identifier claims to be such a URL, rightly or not: no identifier of ours looks like one.
    pub fn is_meant_by(client_id: &str) -> bool {
        client_id.starts_with("https:")
    }

    /// Accepts what can be a client identifier.
    pub fn parse(text: &str) -> Result<Self, DocumentUrlError> {
        if text.len() > MAX_LEN {
            return Err(DocumentUrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| DocumentUrlError::Scheme)?;
        if url.scheme() != "https" {
            return Err(DocumentUrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DocumentUrlError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(DocumentUrlError::Fragment);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if is_host_name(name) => name.to_owned(),
            _ => return Err(DocumentUrlError::Host),
        };
        if url.path() == "/" {
            return Err(DocumentUrlError::Path);
        }
        if url.as_str() != text {
            return Err(DocumentUrlError::NotNormal);
        }
        let port = url.port_or_known_default().unwrap_or(443);
        Ok(Self { url, host, port })
    }

    /// The URL.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The URL's text, which is the client's identifier.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The host's name, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that is connected to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Who answers for the document, for a user to recognise: the host, with the port where that is not https's own.
    pub fn display_host(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// Labels of letters, digits and hyphens, the last of them with a letter. Underscores and trailing dots would make two
/// names of one host, or one that no certificate has.
fn is_host_name(name: &str) -> bool {
    let plain = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_urls_with_a_path_are_accepted() {
        for text in [
            "https://app.example/client.json",
            "https://app.example/oauth/",
            "https://app.example/c?version=2",
            "https://app.example:8443/c",
            "https://localhost:8443/c",
            "https://xn--bcher-kva.example/a/b/c",
            "https://app.example/a%20b",
        ] {
            assert_eq!(DocumentUrl::parse(text).map(|url| url.as_str().to_owned()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        use DocumentUrlError as E;
        for (text, expected) in [
            ("client.json", E::Scheme),
            ("http://app.example/c", E::Scheme),
            ("javascript:alert(1)", E::Scheme),
            ("https://app.example", E::Path),
            ("https://app.example/", E::Path),
            ("https://app.example?c", E::Path),
            ("https://app.example/c#f", E::Fragment),
            ("https://app.example/c#", E::Fragment),
            ("https://user@app.example/c", E::UserInfo),
            ("https://user:password@app.example/c", E::UserInfo),
            ("https://app.example/a/../c", E::NotNormal),
            ("https://app.example/./c", E::NotNormal),
            ("https://app.example/a/%2e%2E/c", E::NotNormal),
            ("https://app.example\\c", E::NotNormal),
            ("https://App.example/c", E::NotNormal),
            ("HTTPS://app.example/c", E::NotNormal),
            ("https://app.example:443/c", E::NotNormal),
            (" https://app.example/c", E::NotNormal),
            ("https://app.example/a\tb", E::NotNormal),
            ("https://app.example/a b", E::NotNormal),
            ("https://bücher.example/c", E::NotNormal),
            ("https:///app.example/c", E::NotNormal),
            ("https://127.0.0.1/c", E::Host),
            ("https://127.1/c", E::Host),
            ("https://2130706433/c", E::Host),
            ("https://0x7f000001/c", E::Host),
            ("https://[::1]/c", E::Host),
            ("https://[::ffff:10.0.0.1]/c", E::Host),
            ("https://app.example./c", E::Host),
            ("https://my_app.example/c", E::Host),
            ("https://*.example/c", E::Host),
        ] {
            assert_eq!(DocumentUrl::parse(text).map(|url| url.as_str().to_owned()), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_length_is_bounded() {
        let of = |length: usize| format!("https://app.example/{}", "a".repeat(length - 20));
        assert!(DocumentUrl::parse(&of(MAX_LEN)).is_ok());
        assert_eq!(DocumentUrl::parse(&of(MAX_LEN + 1)), Err(DocumentUrlError::TooLong));
    }

    #[test]
    fn what_is_shown_is_the_host() {
        let shown = |text| DocumentUrl::parse(text).unwrap().display_host();
        assert_eq!(shown("https://app.example/trusted.example"), "app.example");
        assert_eq!(shown("https://app.example:8443/c"), "app.example:8443");
    }
}

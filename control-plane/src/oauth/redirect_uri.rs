//! Redirect URIs: what may be registered, and what a request may name (RFC 9700 section 2.1, RFC 8252).

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Origin, Url};

/// Longest redirect URI, in bytes.
const MAX_LEN: usize = 2048;

/// Schemes without a dot that well-known MCP clients register with their operating system. RFC 8252
/// section 7.1 asks for a reversed domain name; these came first.
const KNOWN_APP_SCHEMES: [&str; 6] = ["cursor", "vscode", "vscode-insiders", "windsurf", "claude", "zed"];

/// A redirect URI that a client has registered.
///
/// It is in the one form that a URL parser would give it, so comparing text compares meaning: there are
/// no dot segments, upper-case hosts or odd escapes in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// The redirect URI of one authorization request: the client has registered it. Only a value of this
/// type is ever redirected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectTarget(String);

/// Why a redirect URI is refused. The texts are for the client's developer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RedirectUriError {
    /// Longer than anything in use.
    #[error("a redirect URI is longer than {MAX_LEN} bytes")]
    TooLong,
    /// No absolute URI.
    #[error("a redirect URI is not an absolute URI")]
    Syntax,
    /// Not in the form that a parser gives it.
    #[error("a redirect URI is not in its normal form (upper case, dot segments, blanks or odd escapes)")]
    NotNormal,
    /// A scheme that runs code or reaches nobody.
    #[error(
        "a redirect URI has a scheme that is not allowed: use https, http on loopback, or a reversed domain name"
    )]
    Scheme,
    /// Plain http to another machine.
    #[error("a redirect URI has http, but its host is not 127.0.0.1, [::1] or localhost")]
    NotLoopback,
    /// RFC 6749 section 3.1.2.
    #[error("a redirect URI has a fragment")]
    Fragment,
    /// `https://trusted@evil`.
    #[error("a redirect URI has user information")]
    UserInfo,
    /// Our own origin: the provider's answers come in there.
    #[error("a redirect URI is on this authorization server's own origin")]
    OwnOrigin,
    /// Of a client that says that it is on the web.
    #[error(
        "application_type web has redirect URIs with https and no loopback host only: others are for \
         application_type native"
    )]
    NotWeb,
}

// === impl RedirectUri ===

impl RedirectUri {
    /// Accepts what may be registered. `own` are the origins of this authorization server.
    pub fn parse(text: &str, own: &[Origin]) -> Result<Self, RedirectUriError> {
        if text.len() > MAX_LEN {
            return Err(RedirectUriError::TooLong);
        }
        // The scheme is judged first, on the text itself: a parser forgives blanks and upper case.
        let url = Url::parse(text).map_err(|_| RedirectUriError::Syntax)?;
        check_scheme(&url)?;
        if url.fragment().is_some() {
            return Err(RedirectUriError::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectUriError::UserInfo);
        }
        let bare_authority = url.path() == "/" && url.as_str().strip_suffix('/') == Some(text);
        // Behind an app's scheme a parser leaves blanks where they are; no URI has any (RFC 3986 section 2).
        if (url.as_str() != text && !bare_authority) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RedirectUriError::NotNormal);
        }
        if own.contains(&url.origin()) {
            return Err(RedirectUriError::OwnOrigin);
        }
        Ok(Self(text.to_owned()))
    }

    /// The registered text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it leads to a web server, and not to the user's own device: https, and no loopback host.
    pub fn is_web(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.scheme() == "https" && !has_loopback_host(&url))
    }

    /// Whether a request may name `requested`: the same text, or for http on loopback the same but for
    /// the port (RFC 8252 section 7.3).
    fn admits(&self, requested: &str) -> bool {
        self.0 == requested
            || loopback_parts(&self.0).is_some_and(|parts| loopback_parts(requested) == Some(parts))
    }
}

// === impl RedirectTarget ===

impl RedirectTarget {
    /// The request's `redirect_uri`, where one of the registered ones admits it.
    pub fn choose(registered: &[RedirectUri], requested: &str, own: &[Origin]) -> Option<Self> {
        let admitted = registered.iter().any(|uri| uri.admits(requested));
        // Judged once more: a loopback URI with another port has not been seen at registration, and what was
        // registered long ago may not be allowed any more.
        Some(Self(requested.to_owned())).filter(|target| admitted && target.is_allowed(own))
    }

    /// Whether it may be redirected to now. One that was stored may be older than the rule, or than an origin of ours.
    pub fn is_allowed(&self, own: &[Origin]) -> bool {
        RedirectUri::parse(&self.0, own).is_ok()
    }

    /// What a request without `redirect_uri` means: the one that is registered (RFC 6749 section 3.1.2.3).
    pub fn only(registered: &[RedirectUri], own: &[Origin]) -> Option<Self> {
        match registered {
            [uri] => Self::choose(registered, &uri.0, own),
            _ => None,
        }
    }

    /// The text as requested.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a user can recognise: the host, with the port where that is not https's own and may be somebody else's; or the
    /// scheme of an app.
    pub fn display_host(&self) -> String {
        match Url::parse(&self.0) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                let host = url.host_str().unwrap_or_default();
                match url.port().filter(|_| !self.is_local()) {
                    Some(port) => format!("{host}:{port}"),
                    None => host.to_owned(),
                }
            }
            Ok(url) => format!("{}:", url.scheme()),
            Err(_) => String::new(),
        }
    }

    /// Whether it leads to a program on the user's own device: http on loopback, or an app's own scheme. Any
    /// program there can wait for either (RFC 8252 sections 8.1 and 8.3).
    pub fn is_local(&self) -> bool {
        !self.0.starts_with("https:") // http is accepted on loopback only
    }

    /// The target with an authorization response's parameters added to its query. The client's own
    /// parameters stay as they were.
    pub fn with_params<'a>(&self, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let separator = match self.0.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        format!("{}{separator}{encoded}", self.0)
    }
}

fn check_scheme(url: &Url) -> Result<(), RedirectUriError> {
    match url.scheme() {
        "https" => Ok(()),
        "http" => match url.host() {
            Some(Host::Domain("localhost")) => Ok(()),
            Some(Host::Ipv4(address)) if address == std::net::Ipv4Addr::LOCALHOST => Ok(()),
            Some(Host::Ipv6(address)) if address == std::net::Ipv6Addr::LOCALHOST => Ok(()),
            _ => Err(RedirectUriError::NotLoopback),
        },
        // A reversed domain name: nothing that a browser runs or opens by itself has a dot.
        scheme if scheme.contains('.') || KNOWN_APP_SCHEMES.contains(&scheme) => Ok(()),
        _ => Err(RedirectUriError::Scheme),
    }
}

/// `localhost` and what is below it (RFC 6761 section 6.3), and loopback addresses.
fn has_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Host and the rest behind the port, where the text is http on loopback. Works on the text, since that is
/// what is compared.
fn loopback_parts(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| authority.starts_with(host))?;
    let port = &authority[host.len()..];
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok() && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    is_port.then_some((host, tail))
}

#[cfg(test)]
mod tests;

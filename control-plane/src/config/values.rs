//! Rules for single values: pure functions from text to the value, or to what is wrong with the text.
//! A URL is never quoted back: it may hold a password.

use std::net::SocketAddr;

use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::ids::Subject;
use portcullis_proto::token;
use url::{Host, Url};

use crate::provider::{self, is_domain};

/// First segments of the OAuth surface's paths. It is at the root of every server's origin, so no server may
/// lie there.
const RESERVED: [&str; 11] = [
    "authorize",
    "token",
    "register",
    "revoke",
    "consent",
    "callback",
    "user-token",
    "account",
    "provider-clients",
    "assets",
    "openapi.json",
];

/// A name that the file chooses: it becomes part of Envoy names, log fields and metrics.
pub(super) fn name(text: &str) -> Result<(), String> {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let rest = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if first && rest && text.len() <= 63 {
        Ok(())
    } else {
        Err("a name has 1 to 63 lower-case letters, digits and hyphens, the first not a hyphen".to_owned())
    }
}

/// An address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, such as `127.0.0.1:8080`".to_owned())
}

/// `host:port` to connect to.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let wrong = || "must be a host and a port, such as `authz-1:9191`".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port_is_good = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    let host = Host::parse(host).map_err(|_| wrong())?;
    if port_is_good && is_plain(&host) { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// A scope token (RFC 6749 section 3.3): printable ASCII without blank, quote and backslash.
pub(super) fn scope(text: &str) -> Result<String, String> {
    let nqchar = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if text.chars().all(nqchar) {
        Ok(text.to_owned())
    } else {
        Err("a scope is one word of printable ASCII without quotes and backslashes (RFC 6749 section 3.3)"
            .to_owned())
    }
}

/// A client identifier (RFC 6749 appendix A.1): printable ASCII.
pub(super) fn client_id(text: &str) -> Result<String, String> {
    if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("must be printable ASCII".to_owned())
    }
}

/// A header field for a credential, in lower case. Not one that has a meaning of its own to HTTP, to MCP or at the edge.
pub(super) fn credential_header(text: &str) -> Result<String, String> {
    const OTHERS: [&str; 12] = [
        "accept",
        "connection",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "referer",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    const OTHER_PREFIXES: [&str; 8] =
        ["accept-", "content-", "mcp-", "proxy-", "x-envoy-", "x-forwarded-", "x-portcullis-", "sec-"];
    let name = text.to_ascii_lowercase();
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') || name.len() > 64 {
        return Err("must be a header field's name: up to 64 letters, digits and hyphens".to_owned());
    }
    if OTHERS.contains(&name.as_str()) || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(format!("`{name}` has a meaning of its own: it cannot carry a credential"));
    }
    Ok(name)
}

/// The header field of an assertion that comes beside another credential, unless it is told otherwise.
pub(super) const ASSERTION_HEADER: &str = "x-portcullis-assertion";

/// A header field for an assertion, in lower case.
pub(super) fn assertion_header(text: &str) -> Result<String, String> {
    if text.eq_ignore_ascii_case(ASSERTION_HEADER) {
        return Ok(ASSERTION_HEADER.to_owned());
    }
    credential_header(text)
}

/// An identity header, without `x-portcullis-`.
pub(super) fn identity(text: &str) -> Result<IdentityHeader, String> {
    IdentityHeader::named(text).ok_or_else(|| {
        let known = IdentityHeader::ALL.map(IdentityHeader::name).join(", ");
        format!("there is no identity header {text:?}; known: {known}")
    })
}

/// What a kind of token begins with that is none of ours: the beginning of a bearer token (RFC 6750 section 2.1).
pub(super) fn token_prefix(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if !(3..=64).contains(&text.len()) || !text.bytes().all(plain) {
        return Err("must be 3 to 64 characters of a bearer token: letters, digits and `-._~+/`".to_owned());
    }
    if token::PREFIX.starts_with(text) || text.starts_with(token::PREFIX) {
        return Err(format!("`{}` begins the tokens of Portcullis itself", token::PREFIX));
    }
    Ok(text.to_owned())
}

/// An authentication scheme (RFC 9110 section 11.1).
pub(super) fn scheme(text: &str) -> Result<String, String> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        Ok(text.to_owned())
    } else {
        Err("must be a scheme such as `Bearer`: letters, digits and hyphens".to_owned())
    }
}

/// Whether a header field can have this value (RFC 9110 section 5.5), in visible ASCII and inner blanks.
pub(super) fn is_header_value(text: &str) -> bool {
    text.trim() == text && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// What a page calls something: one short line.
pub(super) fn label(text: &str) -> Result<String, String> {
    if text.chars().count() <= 60 && !text.chars().any(char::is_control) && text.trim() == text {
        Ok(text.to_owned())
    } else {
        Err("must be one line of up to 60 characters".to_owned())
    }
}

/// The origin of a browser-based client, in the form in which browsers send it (RFC 6454 section 6.2).
pub(super) fn origin(text: &str) -> Result<String, String> {
    let url = web_url(text)?;
    let origin = url.origin().ascii_serialization();
    if url.path() == "/" && !text.ends_with('/') {
        Ok(origin)
    } else {
        Err("must be an origin: scheme, host and port, without path or trailing slash".to_owned())
    }
}

/// A domain name, such as `example.com`.
pub(super) fn domain(text: &str) -> Result<String, String> {
    if is_domain(text) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be a domain such as `example.com`".to_owned())
    }
}

/// An organization at GitHub, as its URL writes it.
pub(super) fn github_organization(text: &str) -> Result<String, String> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        Ok(text.to_owned())
    } else {
        Err("must be the organization's name in its URL: letters, digits and hyphens".to_owned())
    }
}

/// A user's identifier at a provider.
pub(super) fn subject(text: &str) -> Result<Subject, String> {
    provider::subject(text)
        .ok_or_else(|| "must be the provider's identifier: 1 to 255 printable ASCII characters".to_owned())
}

/// An endpoint or issuer of a provider: https, or http on loopback.
pub(super) fn provider_url(text: &str) -> Result<Url, String> {
    secure(web_url(text)?)
}

/// Where Envoy forwards to.
pub(super) fn upstream(text: &str) -> Result<Url, String> {
    web_url(text)
}

/// The canonical resource identifier of an MCP server (RFC 8707 section 2): lower-case scheme and host, no
/// default port, no trailing slash.
pub(super) fn resource(text: &str) -> Result<Url, String> {
    let mut url = secure(web_url(text)?)?;
    let path = url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
    url.set_path(&path);
    if path.is_empty() {
        return Err("must have a path other than `/`, such as `/mcp`".to_owned());
    }
    // What means the same to Envoy, which normalizes paths, to its regular expressions and to every client.
    let plain = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    let mut segments = path.split('/').skip(1);
    if !segments.clone().all(plain) {
        return Err("the path must have letters, digits and `-._~` only, and no `//`".to_owned());
    }
    if segments.clone().any(|segment| segment.starts_with(".well-known")) {
        return Err("the path must not have `.well-known`, where the metadata is".to_owned());
    }
    match segments.next().and_then(|first| RESERVED.into_iter().find(|reserved| *reserved == first)) {
        Some(reserved) => Err(format!("the path lies under `/{reserved}`, which is the OAuth surface's own")),
        None => Ok(url),
    }
}

/// An http or https URL with a plain host, without user information, query and fragment.
fn web_url(text: &str) -> Result<Url, String> {
    let wrong = |what: &str| Err(what.to_owned());
    let Ok(url) = Url::parse(text) else {
        return wrong("must be a URL such as `https://mcp.example.com/mcp`");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("must be an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("must not have user information");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("must not have a query or fragment");
    }
    match url.host() {
        Some(host) if is_plain(&host) => Ok(url),
        _ => wrong("the host must be an IP address or a name without wildcards"),
    }
}

/// Demands https, save on loopback.
fn secure(url: Url) -> Result<Url, String> {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || loopback {
        Ok(url)
    } else {
        Err("must be https: plain http is for loopback only".to_owned())
    }
}

/// Whether a host is what it says and no pattern: Envoy takes `*` for a wildcard.
fn is_plain<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

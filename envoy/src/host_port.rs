//! `host:port`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use thiserror::Error;
use url::Host;

/// A host name or IP address, and a TCP port: `authz.internal:9191`, `127.0.0.1:9191`, `[::1]:9191`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: Host,
    port: u16,
}

/// Why a text is no [`HostPort`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HostPortError {
    /// There is no colon, or nothing behind it.
    #[error("has no port: write host:port")]
    NoPort,
    /// The port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// What stands before the port is neither a host name, an IPv4 address nor an IPv6 address in brackets.
    #[error("has a host that is neither a name nor an address (IPv6 in brackets)")]
    Host,
}

// === impl HostPort ===

impl HostPort {
    /// The host as Envoy's `socket_address` writes it: an IPv6 address without brackets.
    pub(crate) fn address(&self) -> String {
        address(&self.host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// `host` as Envoy's `socket_address` writes it: an IPv6 address without brackets.
pub(crate) fn address<S: AsRef<str>>(host: &Host<S>) -> String {
    match host {
        Host::Domain(name) => name.as_ref().to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError::NoPort)?;
        if port.is_empty() {
            return Err(HostPortError::NoPort);
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|&port| digits && port != 0).ok_or(HostPortError::Port)?;
        let host = Host::parse(host).map_err(|_| HostPortError::Host)?;
        Ok(Self { host, port })
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(v4) => Host::Ipv4(*v4.ip()),
            SocketAddr::V6(v6) => Host::Ipv6(*v6.ip()),
        };
        Self { host, port: address.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_keep_their_text() {
        for text in ["authz.internal:9191", "control_plane:8080", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_ipv6_address_stands_without_brackets_in_envoys_yaml() {
        assert_eq!("[::1]:9191".parse::<HostPort>().unwrap().address(), "::1");
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, error) in [
            ("", HostPortError::NoPort),
            ("localhost", HostPortError::NoPort),
            ("localhost:", HostPortError::NoPort),
            ("::", HostPortError::NoPort),
            ("localhost:0", HostPortError::Port),
            ("localhost:+1", HostPortError::Port),
            ("localhost:65536", HostPortError::Port),
            ("[::1]", HostPortError::Port),
            (":9191", HostPortError::Host),
            ("::1:9191", HostPortError::Host),
            ("http://localhost:9191", HostPortError::Host),
            ("user@localhost:9191", HostPortError::Host),
        ] {
            assert_eq!(text.parse::<HostPort>(), Err(error), "{text}");
        }
    }
}

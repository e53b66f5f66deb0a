//! The mesh: Envoy, authz, the control plane and operators' commands, and how each knows who the other is.
//!
//! Every connection between them is mutual TLS (RFC 8446), unless it stays on loopback or the platform below secures it:
//! [`Settings`] says which. One authority vouches for all ([`Files::ca`]); what a process is ([`Role`]) its certificate
//! says, by a DNS name of the role's own ([`Names`]) among its subject alternative names. Being vouched for lets a
//! process connect, and ask for health. Anything else takes the role: [`Guard`] checks it for each request.
//!
//! [`Identity`] is what a process shows and trusts. Files that change are read again ([`follow`]).

mod client;
mod connection;
mod error;
mod files;
mod guard;
mod identity;
#[cfg(feature = "certificates")]
pub mod issue;
mod material;
mod role;
mod server;

use std::net::IpAddr;

pub use self::client::{channel, connect};
pub use self::connection::{Connection, Peer};
pub use self::error::{MeshError, Wrong};
pub use self::files::Files;
pub use self::guard::Guard;
pub use self::identity::{Identity, follow};
pub use self::role::{NameError, Names, Role, Roles};
pub use self::server::connections;

use crate::time::Timestamp;

/// The word of the configuration for [`Settings::SecuredByPlatform`].
pub const SECURED_BY_PLATFORM: &str = "secured_by_platform";

/// How the parts of one Portcullis reach each other: the key `mesh`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Settings {
    /// In the clear, on loopback addresses only.
    #[default]
    Loopback,
    /// In the clear, on any address: a service mesh or a private network encrypts, and keeps others out.
    SecuredByPlatform,
    /// Mutual TLS, on loopback too.
    Tls {
        /// What this process shows and trusts.
        files: Files,
        /// What stands for each role.
        names: Names,
    },
}

/// Is told what a service's metrics count. The log is written here.
pub trait Observer: Send + Sync {
    /// Somebody was turned away.
    fn refused(&self, why: Refusal);
    /// Changed files were read again: `true` where they are in use now, `false` where the ones before stay in use.
    fn reread(&self, taken: bool);
    /// Until when the certificate in use is good.
    fn expires(&self, at: Timestamp);
}

/// Why somebody was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No certificate, one that nobody vouches for, an expired one, no TLS at all, or silence.
    Handshake,
    /// A good certificate of another role.
    Role,
}

// === impl Settings ===

impl Settings {
    /// Whether addresses must be loopback addresses.
    pub fn is_loopback_only(&self) -> bool {
        matches!(self, Self::Loopback)
    }

    /// Whether connections are TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    /// Reads the files, where there are any, for a process of this role.
    pub fn open(&self, own: Role, now: Timestamp) -> Result<Option<Identity>, MeshError> {
        match self {
            Self::Loopback => Ok(None),
            Self::SecuredByPlatform => {
                tracing::warn!(
                    "mesh: {SECURED_BY_PLATFORM}: without TLS, whoever connects may do everything"
                );
                Ok(None)
            }
            Self::Tls { files, names } => Identity::open(own, files.clone(), names.clone(), now).map(Some),
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// In a word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Role => "role",
        }
    }
}

/// Whether a host is this machine, whoever resolves it: `localhost`, or a loopback address, IPv6 in brackets or not.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(all(test, feature = "certificates"))]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy does not see that these are tests")]
mod tests;

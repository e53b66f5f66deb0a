//! What a process is, and the names that say so in certificates.

use std::fmt;

use thiserror::Error;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{DnsName, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;

/// What a process of the mesh is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Envoy: asks authz, and forwards to the OAuth surface.
    Edge,
    /// An authz instance: asks the control plane about tokens.
    Authz,
    /// The control plane.
    ControlPlane,
    /// An operator's command: lists and revokes.
    Admin,
}

/// The roles that one certificate gives.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

/// The DNS name (RFC 5280 section 4.2.1.6) that stands for each role. No two are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names([DnsName<'static>; 4]);

/// Why a name cannot stand for a role.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// A certificate could not have it.
    #[error("must be a DNS name, such as `authz.portcullis.internal`")]
    NotDns,
    /// Whoever had it would be both.
    #[error("two roles cannot have one name")]
    Shared,
}

// === impl Role ===

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Edge, Self::Authz, Self::ControlPlane, Self::Admin];

    /// As messages and file names have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Authz => "authz",
            Self::ControlPlane => "control-plane",
            Self::Admin => "admin",
        }
    }

    /// Whether others connect to it: its certificate must be good for a server (RFC 5280 section 4.2.1.12).
    pub const fn is_server(self) -> bool {
        matches!(self, Self::Authz | Self::ControlPlane)
    }

    /// Whether it connects to others: its certificate must be good for a client.
    pub const fn is_client(self) -> bool {
        matches!(self, Self::Edge | Self::Authz | Self::Admin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Roles ===

impl Roles {
    /// Whether the role is among them.
    pub const fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Role::ALL.iter().filter(|role| self.has(**role))).finish()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | (1 << role as u8)))
    }
}

// === impl Names ===

impl Names {
    /// Other names than the usual ones, for some or all roles.
    pub fn with(others: &[(Role, &str)]) -> Result<Self, NameError> {
        let mut names = Self::default();
        for (role, name) in others {
            names.0[*role as usize] = Self::parse(name)?;
        }
        for (at, name) in names.0.iter().enumerate() {
            let lower = |name: &DnsName<'_>| name.as_ref().to_ascii_lowercase();
            if names.0[..at].iter().any(|other| lower(other) == lower(name)) {
                return Err(NameError::Shared);
            }
        }
        Ok(names)
    }

    /// One name.
    pub fn parse(name: &str) -> Result<DnsName<'static>, NameError> {
        DnsName::try_from(name.to_owned()).map_err(|_| NameError::NotDns)
    }

    /// The name that stands for a role.
    pub fn of(&self, role: Role) -> &str {
        self.0[role as usize].as_ref()
    }

    /// The same as TLS wants it.
    pub(super) fn server_name(&self, role: Role) -> ServerName<'static> {
        ServerName::DnsName(self.0[role as usize].clone())
    }

    /// What a certificate says of its holder.
    pub(super) fn roles(&self, certificate: &ParsedCertificate<'_>) -> Roles {
        let says = |role: &Role| verify_server_name(certificate, &self.server_name(*role)).is_ok();
        Role::ALL.into_iter().filter(says).collect()
    }
}

impl Default for Names {
    fn default() -> Self {
        Self(Role::ALL.map(|role| {
            let name = match role {
                Role::Edge => "edge.portcullis.internal",
                Role::Authz => "authz.portcullis.internal",
                Role::ControlPlane => "control-plane.portcullis.internal",
                Role::Admin => "admin.portcullis.internal",
            };
            #[expect(clippy::expect_used, reason = "each is one, as a test shows")]
            DnsName::try_from(name).expect("a DNS name")
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_a_name_of_its_own() {
        let usual = Role::ALL.map(|role| format!("{role}.portcullis.internal"));
        assert_eq!(Role::ALL.map(|role| Names::default().of(role).to_owned()), usual);
        let names = Names::with(&[(Role::Authz, "authz.mesh.example")]).unwrap();
        assert_eq!(names.of(Role::Authz), "authz.mesh.example");
        assert_eq!(names.of(Role::Edge), usual[0]);
    }

    #[test]
    fn a_name_that_is_none_or_of_two_roles_is_refused() {
        for name in ["", "*.portcullis.internal", "a b", "https://a", "a:1"] {
            assert_eq!(Names::with(&[(Role::Edge, name)]), Err(NameError::NotDns), "{name}");
        }
        let shared = [(Role::Edge, "Admin.portcullis.internal")];
        assert_eq!(Names::with(&shared), Err(NameError::Shared));
        let swapped = [(Role::Edge, "admin.portcullis.internal"), (Role::Admin, "edge.portcullis.internal")];
        assert!(Names::with(&swapped).is_ok());
    }

    #[test]
    fn roles_are_a_set() {
        let roles: Roles = [Role::Edge, Role::Admin].into_iter().collect();
        assert_eq!(Role::ALL.map(|role| roles.has(role)), [true, false, false, true]);
        assert_eq!(format!("{roles:?}"), "{Edge, Admin}");
        assert_eq!(Role::ALL.map(|role| Roles::default().has(role)), [false; 4]);
    }
}

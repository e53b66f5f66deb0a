//! Why a process cannot be part of the mesh.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use thiserror::Error;
use tokio_rustls::rustls::{self, CertificateError};

/// A file that is of no use, by its key in the configuration.
#[derive(Debug, Error)]
#[error("mesh.{key}: {}: {wrong}", .file.display())]
pub struct MeshError {
    /// `ca`, `certificate` or `private_key`.
    pub key: &'static str,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it. Never has anything of a private key.
    pub wrong: Wrong,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum Wrong {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is too long to be what it should be.
    #[error("is too long")]
    TooLong,
    /// It has no certificate.
    #[error("has no certificate in PEM")]
    NoCertificate,
    /// It has no private key, or one of no known kind.
    #[error("has no private key in PEM that can be used")]
    NoKey,
    /// Some certificate in it is none.
    #[error("has a certificate that cannot be used: {0}")]
    Malformed(rustls::Error),
    /// The key is another certificate's.
    #[error("is not the key of the certificate in {}", .0.display())]
    OtherKey(PathBuf),
    /// The certificate is another role's.
    #[error("is not for {0}, which must be one of its subject alternative names")]
    OtherName(String),
    /// It was good once.
    #[error("expired on {}", date(*.0))]
    Expired(u64),
    /// It will be good.
    #[error("is good from {} on", date(*.0))]
    NotYet(u64),
    /// The authority is another one.
    #[error("was issued by no authority in {}", .0.display())]
    OtherAuthority(PathBuf),
    /// Its extended key usage leaves out what this process does.
    #[error("lacks an extended key usage: {0}")]
    Usage(&'static str),
    /// Anything else.
    #[error("cannot be used: {0}")]
    Other(rustls::Error),
}

// === impl Wrong ===

impl Wrong {
    /// What verification says of a certificate that is shown with this usage.
    pub(super) fn verified(error: rustls::Error, usage: &'static str, authorities: PathBuf) -> Self {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
                Self::Expired(not_after.as_secs())
            }
            rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before, ..
            }) => Self::NotYet(not_before.as_secs()),
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => Self::OtherAuthority(authorities),
            rustls::Error::InvalidCertificate(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            ) => Self::Usage(usage),
            error => Self::Other(error),
        }
    }
}

/// RFC 3339.
fn date(seconds: u64) -> String {
    /// The last second of the year 9999, beyond which there is no RFC 3339.
    const LAST: u64 = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

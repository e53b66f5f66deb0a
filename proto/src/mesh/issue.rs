//! Makes the mesh's authority and certificates: for trials and small installations that have no authority of their own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Files, Names, Role};
use crate::time::Timestamp;

/// File names in a role's directory, and in the authority's.
const CA: &str = "ca.pem";
const CERTIFICATE: &str = "certificate.pem";
const PRIVATE_KEY: &str = "private_key.pem";
const AUTHORITY: &str = "ca";

/// How long an authority is good.
const AUTHORITY_LIFE: Duration = Duration::from_hours(3650 * 24);
/// Certificates are good a little before they are made: not every clock is right.
const BACKDATED: Duration = Duration::from_hours(1);

/// Who vouches for everybody in the mesh. Has no `Debug`: it holds its key.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Why there are no certificates.
#[derive(Debug, Error)]
pub enum IssueError {
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing is overwritten.
    #[error("{}: is there already, and nothing is overwritten", .0.display())]
    Exists(PathBuf),
    /// Some of them are there.
    #[error("{}: is missing, though others are there", .0.display())]
    Missing(PathBuf),
    /// The authority's key is none.
    #[error("{}: has no private key that can be used", .0.display())]
    Key(PathBuf),
    /// Nothing can be made of it.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

// === impl Authority ===

impl Authority {
    /// A new one, good for 10 years.
    pub fn new(now: Timestamp) -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let params = authority(now);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// One that [`write`](Self::write) has written below `directory`.
    pub fn read(directory: &Path) -> Result<Self, IssueError> {
        let directory = directory.join(AUTHORITY);
        let (certificate, key) = (directory.join(CA), directory.join(PRIVATE_KEY));
        let read = |path: &PathBuf| fs::read_to_string(path).map_err(|source| file(path, source));
        let pem = Zeroizing::new(read(&key)?);
        let pair = KeyPair::from_pem(&pem).map_err(|_| IssueError::Key(key))?;
        let issuer = Issuer::new(authority(Timestamp::default()), pair);
        Ok(Self { certificate: read(&certificate)?, issuer })
    }

    /// Writes certificate and key below `directory`. Overwrites nothing.
    pub fn write(&self, directory: &Path) -> Result<(), IssueError> {
        let directory = directory.join(AUTHORITY);
        create(&directory)?;
        let key = Zeroizing::new(self.issuer.key().serialize_pem());
        write(&directory.join(PRIVATE_KEY), 0o600, &key)?;
        write(&directory.join(CA), 0o644, &self.certificate)
    }

    /// Makes a role's certificate, good from a little before `now` for `life`, and writes it with its key and the authority's
    /// certificate to a directory of that role's below `directory`. Overwrites nothing.
    pub fn issue(
        &self,
        role: Role,
        names: &Names,
        now: Timestamp,
        life: Duration,
        directory: &Path,
    ) -> Result<Files, IssueError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([names.of(role).to_owned()])?;
        params.distinguished_name = named(&format!("Portcullis {role}"));
        (params.not_before, params.not_after) = (date(now.before(BACKDATED)), date(now.after(life)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if role.is_server() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if role.is_client() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();

        let files = files(role, directory);
        create(&directory.join(role.name()))?;
        write(&files.private_key, 0o600, &Zeroizing::new(key.serialize_pem()))?;
        write(&files.certificate, 0o644, &certificate)?;
        write(&files.ca, 0o644, &self.certificate)?;
        Ok(files)
    }
}

/// Where [`Authority::issue`] writes to.
pub fn files(role: Role, directory: &Path) -> Files {
    let directory = directory.join(role.name());
    Files {
        ca: directory.join(CA),
        certificate: directory.join(CERTIFICATE),
        private_key: directory.join(PRIVATE_KEY),
    }
}

/// Whether every role's files are below `directory`. An error where only some are.
pub fn are_made(directory: &Path) -> Result<bool, IssueError> {
    let all = Role::ALL.map(|role| files(role, directory));
    let all = all.iter().flat_map(|files| [&files.ca, &files.certificate, &files.private_key]);
    let (there, missing): (Vec<_>, Vec<_>) = all.partition(|path| path.exists());
    match (there.is_empty(), missing.first()) {
        (_, None) => Ok(true),
        (true, Some(_)) => Ok(false),
        (false, Some(missing)) => Err(IssueError::Missing((*missing).clone())),
    }
}

/// Always the same subject, by which what [`Authority::read`] makes of the key is the same authority.
fn authority(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Portcullis mesh");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date(now.before(BACKDATED)), date(now.after(AUTHORITY_LIFE)));
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn date(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn create(directory: &Path) -> Result<(), IssueError> {
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    created.map_err(|source| file(directory, source))
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), IssueError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => IssueError::Exists(path.to_owned()),
        _ => file(path, error),
    })
}

fn file(path: &Path, source: io::Error) -> IssueError {
    IssueError::File { path: path.to_owned(), source }
}

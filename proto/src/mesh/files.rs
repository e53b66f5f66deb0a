//! Where a process has its certificate from.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::{MeshError, Wrong};

/// Room for hundreds of certificates; a file beyond this is the wrong file.
const MAX_BYTES: usize = 256 * 1024;

/// The three files, each in PEM (RFC 7468).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The authorities that vouch for others; one as a rule, two while one takes over from the other.
    pub ca: PathBuf,
    /// This process's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// The certificate's key: PKCS #8, SEC 1 or PKCS #1.
    pub private_key: PathBuf,
}

/// What they hold. Erased when it is dropped.
pub(super) struct Contents {
    pub(super) ca: Zeroizing<Vec<u8>>,
    pub(super) certificate: Zeroizing<Vec<u8>>,
    pub(super) private_key: Zeroizing<Vec<u8>>,
}

// === impl Files ===

impl Files {
    pub(super) fn read(&self) -> Result<Contents, MeshError> {
        Ok(Contents {
            ca: read(&self.ca).map_err(|wrong| self.ca(wrong))?,
            certificate: read(&self.certificate).map_err(|wrong| self.certificate(wrong))?,
            private_key: read(&self.private_key).map_err(|wrong| self.private_key(wrong))?,
        })
    }

    pub(super) fn ca(&self, wrong: Wrong) -> MeshError {
        MeshError { key: "ca", file: self.ca.clone(), wrong }
    }

    pub(super) fn certificate(&self, wrong: Wrong) -> MeshError {
        MeshError { key: "certificate", file: self.certificate.clone(), wrong }
    }

    pub(super) fn private_key(&self, wrong: Wrong) -> MeshError {
        MeshError { key: "private_key", file: self.private_key.clone(), wrong }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    // As long as it can become: while it grew, copies of a key would be left behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut content)?;
    if content.len() > MAX_BYTES { Err(Wrong::TooLong) } else { Ok(content) }
}

// === impl Contents ===

impl Contents {
    /// Tells one state of the files from another.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        for content in [&self.ca, &self.certificate, &self.private_key] {
            context.update(&content.len().to_be_bytes());
            context.update(content);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

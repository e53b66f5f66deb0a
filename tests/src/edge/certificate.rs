//! Certificates that live as long as a test.

use std::path::PathBuf;
use std::process::Command;

use portcullis_envoy::Tls;
use tempfile::TempDir;

/// A self-signed certificate and its key, made by openssl. Its files go when it is dropped.
#[derive(Debug)]
pub struct Certificate(TempDir);

// === impl Certificate ===

impl Certificate {
    /// For a subject alternative name as openssl writes it: `DNS:localhost`.
    pub fn of(name: &str) -> Self {
        let certificate = Self(tempfile::tempdir().unwrap());
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-days", "1", "-subj", "/CN=test", "-addext", &format!("subjectAltName={name}")])
            .arg("-keyout")
            .arg(certificate.tls().private_key)
            .arg("-out")
            .arg(certificate.file())
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{output:?}");
        certificate
    }

    /// The PEM file.
    pub fn file(&self) -> PathBuf {
        self.0.path().join("tls.crt")
    }

    /// As the edge takes it.
    pub fn tls(&self) -> Tls {
        Tls { certificate: self.file(), private_key: self.0.path().join("tls.key") }
    }
}

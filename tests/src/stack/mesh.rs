//! The certificates of a stack whose parts speak mutual TLS to each other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use portcullis_proto::mesh::issue::files;
use portcullis_proto::mesh::{Files, Identity, Names, Role};
use portcullis_proto::time::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::binaries::workspace;
use crate::programs::CONTROL_PLANE;

/// Made by the control plane's own command.
#[derive(Debug)]
pub struct Mesh(PathBuf);

// === impl Mesh ===

impl Mesh {
    /// Below this directory.
    pub(super) fn make(directory: &Path) -> Self {
        let mesh = Self(directory.join("certs"));
        mesh.run(&mesh.0, &[]);
        mesh
    }

    /// Renews a part's certificate, for a day, under the same authority.
    pub fn renew(&self, role: Role) {
        let renewed = self.0.with_file_name(format!("renewed-{role}"));
        self.run(&renewed, &["--days", "1", "--ca", &self.0.to_string_lossy()]);
        let (from, to) = (files(role, &renewed), self.files(role));
        std::fs::copy(from.private_key, to.private_key).expect("a file");
        std::fs::copy(from.certificate, to.certificate).expect("a file");
    }

    fn run(&self, directory: &Path, more: &[&str]) {
        let binary = workspace(CONTROL_PLANE).unwrap_or_else(|missing| panic!("{missing}"));
        let mut command = Command::new(binary);
        command.args(["certificates", "--dir"]).arg(directory).args(more);
        let output = command.output().expect("a process");
        assert!(output.status.success(), "{}: {}", self.0.display(), String::from_utf8_lossy(&output.stderr));
    }

    /// A role's.
    pub fn files(&self, role: Role) -> Files {
        files(role, &self.0)
    }

    /// Whoever has a role's.
    pub fn identity(&self, role: Role) -> Arc<Identity> {
        let identity = Identity::open(role, self.files(role), Names::default(), SystemClock.now());
        Arc::new(identity.expect("good files"))
    }

    /// As a configuration has it.
    pub(super) fn section(&self, role: Role) -> Value {
        let Files { ca, certificate, private_key } = self.files(role);
        json!({ "ca": ca, "certificate": certificate, "private_key": private_key })
    }

    /// In `portcullis.yaml`.
    pub(super) fn configure(&self, config: &mut Value) {
        config["mesh"] = self.section(Role::ControlPlane);
        config["edge"]["mesh"] = self.section(Role::Edge);
    }
}

//! Where the executables are that the demo and the tests start.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

/// The Envoy release that the edge's configuration is written for.
const ENVOY_VERSION: &str = "/1.40.";
const ENVOY_VARIABLE: &str = "PORTCULLIS_ENVOY";

/// What is missing, and what to do about it.
#[derive(Debug, Error)]
pub enum Missing {
    /// A binary of this workspace.
    #[error("{0} is not built: run `cargo build --workspace --bins` (`make` does)")]
    Binary(PathBuf),
    /// Envoy.
    #[error("no Envoy 1.40 found: run `make tools`, or name the executable in {ENVOY_VARIABLE}")]
    Envoy,
    /// The path of the running executable.
    #[error("cannot tell where this executable is")]
    Own(#[from] io::Error),
}

/// The repository's root.
pub fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// A binary of this workspace, beside the running one or, for a test, one directory up.
pub fn workspace(name: &str) -> Result<PathBuf, Missing> {
    let own = env::current_exe()?;
    let mut directory = own.parent().unwrap_or(Path::new("."));
    if directory.ends_with("deps") {
        directory = directory.parent().unwrap_or(directory);
    }
    let binary = directory.join(name);
    if binary.is_file() { Ok(binary) } else { Err(Missing::Binary(binary)) }
}

/// Envoy 1.40: from `PORTCULLIS_ENVOY`, from `.tools/` as `make tools` leaves it, or from `PATH`.
pub fn envoy() -> Result<PathBuf, Missing> {
    let named = env::var_os(ENVOY_VARIABLE).map(PathBuf::from);
    [named, Some(tools("bin/envoy")), Some("envoy".into())]
        .into_iter()
        .flatten()
        .find(|candidate| has_version(candidate))
        .ok_or(Missing::Envoy)
}

/// A file of the virtual environment that `make tools` makes.
pub fn tools(file: &str) -> PathBuf {
    root().join(".tools/venv").join(file)
}

fn has_version(envoy: &Path) -> bool {
    let output = Command::new(envoy).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(ENVOY_VERSION))
}

//! `check` and `envoy`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use portcullis_control_plane::config::{self, Config};
use portcullis_control_plane::edge;
use portcullis_proto::mesh::Role;
use portcullis_proto::time::{Clock as _, SystemClock};

use super::Done;

/// Reads the configuration with this process's environment.
pub(super) fn load(file: &Path) -> Result<Config, config::Problems> {
    config::load(file, &|name| std::env::var(name).ok())
}

pub(super) fn check(file: &Path) -> Done {
    let config = load(file)?;
    edge::render(&config)?;
    config.mesh.open(Role::ControlPlane, SystemClock.now())?;
    let (servers, providers) = (config.servers.len(), config.providers.len());
    writeln!(std::io::stdout(), "{}: good; servers: {servers}, providers: {providers}", file.display())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn envoy(file: &Path, output: Option<&Path>) -> Done {
    let yaml = edge::render(&load(file)?)?;
    match output {
        Some(path) => {
            std::fs::write(path, yaml).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        None => std::io::stdout().write_all(yaml.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

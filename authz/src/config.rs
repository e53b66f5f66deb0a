//! `authz.yaml`, read and checked.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;
use std::{fs, io};

use http::Uri;
use portcullis_proto::ids::InstanceName;
use portcullis_proto::mesh::{Settings, is_loopback};
use serde::Deserialize;
use thiserror::Error;

mod mesh;

/// Heartbeats come each second: with less than this, one that is a little late would stop the service.
const MIN_STALENESS: Duration = Duration::from_secs(2);
/// More than any machine has use for.
const MAX_THREADS: usize = 256;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `listen`: where Envoy asks; 127.0.0.1:9191 by default.
    pub listen: SocketAddr,
    /// `ops`: `/healthz`, `/readyz` and `/metrics`; 127.0.0.1:9192 by default.
    pub ops: SocketAddr,
    /// `control_plane`: the control plane's gRPC address, such as `http://127.0.0.1:8081`; https with TLS in `mesh`.
    pub control_plane: Uri,
    /// `mesh`: how Envoy reaches this instance, and this instance the control plane; on loopback by default.
    pub mesh: Settings,
    /// `store`: the store's directory, created where there is none. No two instances share one.
    pub store: PathBuf,
    /// `max_staleness`: how long requests are decided without word from the control plane, 2 s at least;
    /// 60 s by default.
    pub max_staleness: Duration,
    /// `instance`: this instance's name, unlike any other's; the host's name and the port of `listen` by default.
    pub instance: InstanceName,
    /// `max_records`: how many token records the store keeps; 1,000,000 by default. Beyond that, tokens are
    /// asked about at each use.
    pub max_records: usize,
    /// `threads`: how many threads answer Envoy; one for every two cores by default.
    pub threads: NonZeroUsize,
}

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not YAML, or has an unknown key, lacks one, or has one of the wrong type.
    #[error("{}: {reason}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What, and in which line.
        reason: String,
    },
    /// Values that make no sense, each with its key.
    #[error("{}: {}", .path.display(), .problems.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// One for each key.
        problems: Vec<String>,
    },
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    #[serde(default = "default_ops")]
    ops: SocketAddr,
    control_plane: String,
    mesh: Option<mesh::Raw>,
    store: PathBuf,
    #[serde(default = "default_max_staleness")]
    max_staleness: String,
    instance: Option<String>,
    #[serde(default = "default_max_records")]
    max_records: usize,
    threads: Option<usize>,
}

/// Reads the file at `path`. Every wrong value is named at once.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text =
        fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let raw: Raw = serde_saphyr::from_str(text)
        .map_err(|error| ConfigError::Syntax { path: path.to_owned(), reason: error.to_string() })?;
    let mut problems = Vec::new();
    let mesh = raw.mesh.map_or(Ok(Settings::default()), mesh::Raw::settings);
    let mesh = mesh.map_err(|problem| problems.push(problem)).ok();
    if let Some(mesh) = &mesh {
        checked(&mut problems, "listen", listen(raw.listen, mesh));
    }
    let control_plane =
        checked(&mut problems, "control_plane", control_plane(&raw.control_plane, mesh.as_ref()));
    let max_staleness = checked(&mut problems, "max_staleness", max_staleness(&raw.max_staleness));
    let instance = checked(&mut problems, "instance", instance(raw.instance, raw.listen.port()));
    if raw.store.as_os_str().is_empty() {
        problems.push("store: is empty".to_owned());
    }
    if raw.max_records == 0 {
        problems.push("max_records: must not be 0".to_owned());
    }
    let threads = checked(&mut problems, "threads", threads(raw.threads));
    match (control_plane, mesh, max_staleness, instance, threads) {
        (Some(control_plane), Some(mesh), Some(max_staleness), Some(instance), Some(threads))
            if problems.is_empty() =>
        {
            Ok(Config {
                listen: raw.listen,
                ops: raw.ops,
                control_plane,
                mesh,
                store: raw.store,
                max_staleness,
                instance,
                max_records: raw.max_records,
                threads,
            })
        }
        _ => Err(ConfigError::Invalid { path: path.to_owned(), problems }),
    }
}

fn checked<T>(problems: &mut Vec<String>, key: &str, value: Result<T, String>) -> Option<T> {
    value.map_err(|problem| problems.push(format!("{key}: {problem}"))).ok()
}

/// Whoever can connect without a certificate is taken for Envoy.
fn listen(address: SocketAddr, mesh: &Settings) -> Result<(), String> {
    if mesh.is_loopback_only() && !address.ip().is_loopback() {
        return Err(format!("without `mesh`, {address} must be a loopback address"));
    }
    Ok(())
}

/// `mesh` is `None` where it has been found to be wrong itself.
fn control_plane(text: &str, mesh: Option<&Settings>) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    let bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
    let (Some(scheme), Some(host), Some(_), true) = (scheme, uri.host(), uri.port(), bare) else {
        return Err(format!("{text:?} is not of the form http://host:port or https://host:port"));
    };
    match mesh {
        Some(mesh) if mesh.is_tls() && scheme == "http" => {
            Err(format!("{text:?} must be https: `mesh` has certificates"))
        }
        Some(mesh) if !mesh.is_tls() && scheme == "https" => {
            Err(format!("{text:?} is https, which takes a certificate: see `mesh`"))
        }
        Some(mesh) if mesh.is_loopback_only() && !is_loopback(host) => {
            Err(format!("without `mesh`, {text:?} must be on loopback"))
        }
        _ => Ok(uri),
    }
}

fn max_staleness(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a duration such as 60s: {error}"))?;
    if duration < MIN_STALENESS {
        return Err(format!("{text:?} is less than {}", humantime::format_duration(MIN_STALENESS)));
    }
    Ok(duration)
}

fn instance(name: Option<String>, port: u16) -> Result<InstanceName, String> {
    let name = name.map_or_else(|| default_instance(port), Ok)?;
    let printable = name.chars().all(|character| character.is_ascii_graphic());
    if name.is_empty() || name.len() > 255 || !printable {
        return Err(format!("{name:?} is not a name of 1 to 255 printable characters without spaces"));
    }
    Ok(InstanceName::new(name))
}

fn threads(number: Option<usize>) -> Result<NonZeroUsize, String> {
    let number = match number {
        Some(number) => number,
        None => available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
    };
    let number = NonZeroUsize::new(number).filter(|number| number.get() <= MAX_THREADS);
    number.ok_or_else(|| format!("is not a number from 1 to {MAX_THREADS}"))
}

fn default_instance(port: u16) -> Result<String, String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .map_err(|error| format!("is needed, because the host's name cannot be read: {error}"))?;
    Ok(format!("{}:{port}", host.trim()))
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9191).into()
}

fn default_ops() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9192).into()
}

fn default_max_staleness() -> String {
    "60s".to_owned()
}

fn default_max_records() -> usize {
    1_000_000
}

#[cfg(test)]
mod tests;

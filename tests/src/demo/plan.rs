//! What has to be started: for the demo, or for somebody's own `portcullis.yaml`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use thiserror::Error;

use super::file::{File, loopback};
use crate::binaries::{Missing, root, workspace};
use crate::process::Program;
use crate::programs::{CONTROL_PLANE, Place, free_addresses};

/// The demo's own configuration.
const DEMO: &str = include_str!("portcullis.yaml");
const PROVIDER: u16 = 10001;
const MCP_SERVER: u16 = 10002;

/// Programs in the order in which they start, and what people want to know about them.
#[derive(Debug)]
pub struct Plan {
    /// What to start.
    pub programs: Vec<Program>,
    /// Where the MCP servers are at the edge, by name.
    pub servers: BTreeMap<String, String>,
    /// Where the control plane's gRPC is.
    pub control_plane: String,
    /// Where the logs are.
    pub logs: PathBuf,
    /// Whether this is the demo, with its own provider.
    pub demo: bool,
}

/// Why nothing can be started.
#[derive(Debug, Error)]
pub enum PlanError {
    /// An executable is not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The control plane does not accept the configuration.
    #[error("{file} is not a valid configuration:\n{output}")]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What the control plane says about it.
        output: String,
    },
    /// Where the programs listen cannot be read from the configuration.
    #[error("{file}: {source}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: Box<serde_saphyr::Error>,
    },
    /// Somebody else listens there.
    #[error("{address} is taken, and {user} needs it: stop what listens there, or change the address")]
    Taken {
        /// The address.
        address: SocketAddr,
        /// Who wants to listen there.
        user: String,
    },
    /// An authz instance of the configuration runs somewhere else.
    #[error("edge.authz: {address} is not an address of this machine, where authz is to be started")]
    NotHere {
        /// The address.
        address: String,
    },
    /// Authz would need a certificate, which is not in the configuration.
    #[error(
        "mesh: has certificates; what `make run` starts is all on loopback: leave `mesh` and `edge.mesh` out"
    )]
    Mesh,
    /// There is no port left.
    #[error("no free port: {0}")]
    Port(io::Error),
}

// === impl Plan ===

impl Plan {
    /// The demo: everything, with data that outlives it under `target/demo/`.
    pub fn demo() -> Result<Self, PlanError> {
        let place = place()?;
        let file = place.directory.join("portcullis.yaml");
        write(&file, DEMO)?;
        let (provider, mcp_server) = (loopback(PROVIDER), loopback(MCP_SERVER));
        free(provider, "the demo provider")?;
        free(mcp_server, "the demo MCP server")?;
        let mut plan = Self::around(&place, &file)?;
        let redirect_uri = "http://localhost:10000/callback";
        let own = [place.demo_provider(provider, redirect_uri)?, place.demo_mcp(mcp_server)?];
        plan.programs.splice(0..0, own);
        plan.demo = true;
        Ok(plan)
    }

    /// Control plane, authz and Envoy for a configuration that somebody wrote.
    pub fn of(file: &Path) -> Result<Self, PlanError> {
        Self::around(&place()?, file)
    }

    fn around(place: &Place, file: &Path) -> Result<Self, PlanError> {
        control_plane("check", file)?;
        let config = read(file)?;
        if config.mesh.as_ref().is_some_and(serde_json::Value::is_object) {
            return Err(PlanError::Mesh);
        }
        let edge = place.directory.join("envoy.yaml");
        write(&edge, &String::from_utf8_lossy(&control_plane("envoy", file)?.stdout))?;

        let listen = &config.listen;
        for address in [listen.http, listen.grpc, listen.ops] {
            free(address, "the control plane")?;
        }
        for address in [config.edge.listen, config.edge.admin] {
            free(address, "Envoy")?;
        }
        let grpc = format!("http://{}", listen.grpc);
        let mut programs = vec![place.control_plane(&file.to_string_lossy(), listen.ops)?];
        for (index, address) in config.edge.authz.iter().enumerate() {
            let local = address.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
            let local = local.ok_or_else(|| PlanError::NotHere { address: address.clone() })?;
            free(local, "authz")?;
            let name = format!("authz-{index}");
            let [ops] = free_addresses().map_err(PlanError::Port)?;
            let program = place.authz(&name, local, ops, &grpc, |_| {});
            let path = place.directory.clone();
            programs.push(program.map_err(|source| PlanError::File { path, source })??);
        }
        programs.push(place.envoy(&edge.to_string_lossy(), config.edge.admin)?);
        Ok(Self {
            programs,
            servers: config.servers.into_iter().map(|(name, server)| (name, server.url)).collect(),
            control_plane: grpc,
            logs: place.directory.join("logs"),
            demo: false,
        })
    }
}

fn place() -> Result<Place, PlanError> {
    let directory = root().join("target/demo");
    for path in [directory.join("data"), directory.join("logs")] {
        fs::create_dir_all(&path).map_err(|source| PlanError::File { path, source })?;
    }
    Ok(Place { directory, own_groups: true })
}

fn control_plane(command: &str, file: &Path) -> Result<Output, PlanError> {
    let binary = workspace(CONTROL_PLANE)?;
    let output = Command::new(&binary).arg(command).arg("--config").arg(file).output();
    let output = output.map_err(|source| PlanError::File { path: binary, source })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    Err(PlanError::Invalid { file: file.to_owned(), output: String::from_utf8_lossy(&said).into_owned() })
}

fn read(file: &Path) -> Result<File, PlanError> {
    let text =
        fs::read_to_string(file).map_err(|source| PlanError::File { path: file.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|source| PlanError::Unreadable { file: file.to_owned(), source: Box::new(source) })
}

fn write(path: &Path, text: &str) -> Result<(), PlanError> {
    fs::write(path, text).map_err(|source| PlanError::File { path: path.to_owned(), source })
}

fn free(address: SocketAddr, user: &str) -> Result<(), PlanError> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(PlanError::Taken { address, user: user.to_owned() })
        }
        // Whatever else is wrong with the address, its user says more clearly.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_configuration_tells_where_everything_listens() {
        let file: File = serde_saphyr::from_str(DEMO).unwrap();
        assert_eq!(file.servers["demo"].url, "http://localhost:10000/demo/mcp");
        assert_eq!(file.edge.authz, ["127.0.0.1:10006"]);
        let (provider, mcp_server) = (loopback(PROVIDER), loopback(MCP_SERVER));
        assert!(DEMO.contains(&format!("issuer: http://localhost:{}", provider.port())));
        assert!(DEMO.contains(&format!("upstream: http://{mcp_server}/mcp")));
    }

    #[test]
    fn a_taken_port_is_named_with_who_needs_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let error = free(address, "Envoy").unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("Envoy"), "{error}");
    }
}

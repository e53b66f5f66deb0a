//! The programs that a running Portcullis is made of, and how each is started.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{env, io};

use portcullis_proto::random::{SystemRandom, bytes};
use rustix::process::getuid;
use serde_json::{Value, json};

use crate::binaries::{Missing, envoy, workspace};
use crate::process::Program;

/// The file of the control plane and of its command line.
pub const CONTROL_PLANE: &str = "portcullis-control-plane";

/// A directory with the configuration, the logs and the data of one running Portcullis.
#[derive(Clone, Debug)]
pub struct Place {
    /// The directory.
    pub directory: PathBuf,
    /// Whether programs get process groups of their own; see [`Program::own_group`].
    pub own_groups: bool,
}

// === impl Place ===

impl Place {
    /// Where the log of a program is.
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{name}.log"))
    }

    /// The demo's identity provider, which allows one redirect URI.
    pub fn demo_provider(&self, listen: SocketAddr, redirect_uri: &str) -> Result<Program, Missing> {
        let issuer = format!("http://localhost:{}", listen.port());
        let ready = format!("{issuer}/.well-known/openid-configuration");
        let arguments =
            ["--listen", &listen.to_string(), "--issuer", &issuer, "--redirect-uri", redirect_uri];
        Ok(self.program("demo-provider", workspace("demo-provider")?, &arguments, ready))
    }

    /// The demo's MCP server.
    pub fn demo_mcp(&self, listen: SocketAddr) -> Result<Program, Missing> {
        let ready = format!("http://{listen}/healthz");
        Ok(self.program("demo-mcp", workspace("demo-mcp")?, &["--listen", &listen.to_string()], ready))
    }

    /// The control plane, whose `ops` address is the one in its configuration.
    pub fn control_plane(&self, config: &str, ops: SocketAddr) -> Result<Program, Missing> {
        let ready = format!("http://{ops}/readyz");
        Ok(self.program("control-plane", workspace(CONTROL_PLANE)?, &["serve", "--config", config], ready))
    }

    /// An authz instance. Its configuration is written here, with `change` made.
    pub fn authz(
        &self,
        name: &str,
        listen: SocketAddr,
        ops: SocketAddr,
        control_plane: &str,
        change: impl FnOnce(&mut Value),
    ) -> io::Result<Result<Program, Missing>> {
        let config = self.directory.join(format!("{name}.yaml"));
        let mut settings = json!({
            "instance": name,
            "listen": listen,
            "ops": ops,
            "control_plane": control_plane,
            "store": self.directory.join("data").join(name),
        });
        change(&mut settings);
        // JSON is YAML too.
        fs::write(&config, format!("{settings:#}\n"))?;
        let config = config.to_string_lossy();
        let program =
            |binary| self.program(name, binary, &["--config", &config], format!("http://{ops}/readyz"));
        Ok(workspace("portcullis-authz").map(program))
    }

    /// The edge, whose `admin` address is the one in its configuration.
    pub fn envoy(&self, config: &str, admin: SocketAddr) -> Result<Program, Missing> {
        // Without hot restart several Envoys can run on one machine without knowing of each other.
        let arguments = [
            "--config-path",
            config,
            "--disable-hot-restart",
            "--concurrency",
            "2",
            // Otherwise the access log is 10 s behind for whoever looks at it.
            "--file-flush-interval-msec",
            "100",
        ];
        Ok(self.program("envoy", envoy()?, &arguments, format!("http://{admin}/ready")))
    }

    /// Any program that logs here.
    pub fn program(&self, name: &str, executable: PathBuf, arguments: &[&str], ready: String) -> Program {
        Program {
            name: name.to_owned(),
            executable,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment: Vec::new(),
            log: self.log(name),
            ready,
            own_group: self.own_groups,
        }
    }
}

/// Locks on the ports that this process was given, for as long as it lives: no other test gets one of them while nobody
/// listens there yet.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Loopback addresses that nobody listens on, all different.
///
/// None of them is of those that systems give to outgoing connections (from 32768 on, or higher): while a program
/// is down, one of its clients could get its port, and connect to itself.
pub fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    /// More than there can be ports in use.
    const ATTEMPTS: usize = 10_000;
    let candidates = (0..ATTEMPTS).map(|_| 11_000 + u16::from_ne_bytes(bytes(&SystemRandom)) % 21_000);
    // A user's own: what others have made could not be written to.
    let places = env::temp_dir().join(format!("portcullis-test-ports-{}", getuid().as_raw()));
    fs::create_dir_all(&places)?;
    let taken = candidates.filter_map(|port| {
        let place = File::create(places.join(port.to_string())).ok()?;
        place.try_lock().ok()?;
        let listener = TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some((listener, place))
    });
    let (listeners, held): (Vec<_>, Vec<_>) = taken.take(N).unzip();
    if listeners.len() < N {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    HELD.lock().unwrap_or_else(PoisonError::into_inner).extend(held);
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

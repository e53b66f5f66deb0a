//! A whole Portcullis on free ports, with real Envoy, for one test: provider, MCP server, control plane, authz
//! instances and edge. Every part can be stopped, killed and started again.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails, and says why")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::Duration;

use portcullis_proto::mesh::{Files, Role};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use crate::binaries::workspace;
use crate::faults::shim::Shim;
use crate::faults::small_disk::SmallDisk;
use crate::front::Front;
use crate::process::{ProcessError, Program, Running, tail};
use crate::programs::{CONTROL_PLANE, free_addresses};

mod admin;
mod build;
mod check;
mod config;
mod faults;
mod mesh;
mod upstream;

pub use admin::admin;
pub use build::{Builder, McpServer, Provider};
pub use check::{Decision, Instance};
pub use mesh::Mesh;
pub use upstream::{Recorded, Upstream};

const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);
const COMMAND: Duration = Duration::from_secs(40);
const LOG_LINES: usize = 40;

/// A running Portcullis. When it is dropped everything is killed; in a test that fails, the logs are shown.
#[derive(Debug)]
pub struct Stack {
    directory: TempDir,
    addresses: Addresses,
    url: String,
    parts: BTreeMap<Part, State>,
    shims: BTreeMap<Part, Shim>,
    small_disk: Option<SmallDisk>,
    mesh: Option<Mesh>,
    upstream: Option<Upstream>,
    front: Option<Front>,
}

/// A process of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Where users log in.
    Provider,
    /// What is protected.
    McpServer,
    /// The control plane.
    ControlPlane,
    /// One of the authz instances, counted from 0.
    Authz(usize),
    /// Envoy.
    Edge,
}

/// Where everything listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The edge, which is where clients connect.
    pub edge: SocketAddr,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
    /// The control plane's OAuth surface, which only Envoy should ask.
    pub http: SocketAddr,
    /// The control plane's gRPC.
    pub grpc: SocketAddr,
    /// The control plane's operations.
    pub ops: SocketAddr,
    /// The identity provider.
    pub provider: SocketAddr,
    /// The MCP server.
    pub mcp_server: SocketAddr,
    /// The authz instances.
    pub authz: Vec<SocketAddr>,
    /// Their operations.
    pub authz_ops: Vec<SocketAddr>,
}

#[derive(Debug)]
struct State {
    program: Program,
    running: Option<Running>,
}

// === impl Stack ===

impl Stack {
    /// The demo provider, a recording MCP server and one authz instance, unless it is told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The MCP server's URL at the edge: what people type into their MCP client.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The origin of [`Self::url`], which is the issuer too.
    pub fn origin(&self) -> String {
        Url::parse(&self.url).expect("a URL").origin().ascii_serialization()
    }

    /// Where everything listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where configuration, data and logs are, until the stack is dropped.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The control plane's gRPC, as authz and operators name it.
    pub fn control_plane(&self) -> String {
        let scheme = if self.mesh.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addresses.grpc)
    }

    /// The certificates of a stack that is built with [`Builder::mesh`].
    pub fn mesh(&self) -> &Mesh {
        self.mesh.as_ref().expect("built with Builder::mesh")
    }

    /// The recording MCP server.
    pub fn upstream(&self) -> &Upstream {
        self.upstream.as_ref().expect("built with McpServer::Recording")
    }

    /// The proxy in front of the edge.
    pub fn front(&self) -> &Front {
        self.front.as_ref().expect("built with Builder::front")
    }

    /// Leaves the directory where it is when the stack is dropped.
    pub fn keep(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }

    /// Starts a part that does not run, and waits until it is ready.
    pub async fn start(&mut self, part: Part) {
        self.try_start(part).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same for a part that may refuse: then it does not run.
    pub async fn try_start(&mut self, part: Part) -> Result<(), ProcessError> {
        self.launch(part);
        let ready = self.ready(part).await;
        if ready.is_err() {
            self.kill(part).await;
        }
        ready
    }

    /// Starts a part that does not run, and does not wait.
    pub fn launch(&mut self, part: Part) {
        let state = self.parts.get_mut(&part).expect("a part of this stack");
        assert!(state.running.is_none(), "{part:?} runs already");
        state.running = Some(state.program.start().unwrap_or_else(|error| panic!("{error}")));
    }

    /// Waits until a part that has been started is ready.
    pub async fn ready(&mut self, part: Part) -> Result<(), ProcessError> {
        let running = self.parts.get_mut(&part).and_then(|state| state.running.as_mut());
        running.expect("a part that runs").ready(READY).await
    }

    /// Waits until a part ends by itself, and tells how.
    pub async fn ended(&mut self, part: Part) -> ProcessError {
        timeout(READY, self.take(part).exited()).await.expect("a part that ends")
    }

    /// SIGTERM, and waits until it is gone.
    pub async fn stop(&mut self, part: Part) {
        self.signal(part, Signal::TERM);
        let running = self.parts.get_mut(&part).and_then(|state| state.running.as_mut());
        let _ = timeout(STOP, running.expect("a part that runs").exited()).await;
        self.kill(part).await; // where that was not enough
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&mut self, part: Part) {
        self.signal(part, Signal::KILL);
        self.take(part).kill().await;
    }

    /// Stops and starts.
    pub async fn restart(&mut self, part: Part) {
        self.stop(part).await;
        self.start(part).await;
    }

    /// Sends a signal, such as SIGSTOP to make a part hang. With a shim under it, a part that is killed has done
    /// nothing that the shim's journal has not; where it was stopped, it goes on for that for a moment.
    pub fn signal(&self, part: Part, signal: Signal) {
        let running = self.parts.get(&part).and_then(|state| state.running.as_ref());
        let running = running.expect("a part that runs");
        match self.shims.get(&part) {
            Some(shim) if signal == Signal::KILL => {
                running.signal(Signal::CONT);
                shim.between_operations(|| running.signal(signal)).expect("the journal");
            }
            _ => running.signal(signal),
        }
    }

    /// The process id of a part, while it runs.
    pub fn id(&self, part: Part) -> Option<u32> {
        self.parts.get(&part)?.running.as_ref()?.id()
    }

    /// All that a part has written to its log.
    pub fn log(&self, part: Part) -> String {
        tail(&self.parts.get(&part).expect("a part of this stack").program.log, usize::MAX)
    }

    /// Runs the control plane's command line, against this stack's control plane.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        let binary = workspace(CONTROL_PLANE).unwrap_or_else(|missing| panic!("{missing}"));
        let mut command = Command::new(binary);
        command.args(arguments).args(["--control-plane", &self.control_plane()]).kill_on_drop(true);
        if let Some(mesh) = &self.mesh {
            let Files { ca, certificate, private_key } = mesh.files(Role::Admin);
            command.arg("--ca").arg(ca).arg("--certificate").arg(certificate);
            command.arg("--private-key").arg(private_key);
        }
        timeout(COMMAND, command.output()).await.expect("an answer in time").expect("a process")
    }

    fn take(&mut self, part: Part) -> Running {
        let state = self.parts.get_mut(&part).expect("a part of this stack");
        state.running.take().expect("a part that runs")
    }
}

// === impl Addresses ===

impl Addresses {
    /// Addresses that nobody listens on, for this many authz instances.
    pub fn free(authz: usize) -> Self {
        /// More instances than any test needs.
        const INSTANCES: usize = 4;
        assert!(authz <= INSTANCES, "at most {INSTANCES} authz instances");
        let [edge, admin, http, grpc, ops, provider, mcp_server, instances @ ..] =
            free_addresses::<{ 7 + 2 * INSTANCES }>().expect("free ports");
        let (listen, operations) = instances.split_at(INSTANCES);
        Self {
            edge,
            admin,
            http,
            grpc,
            ops,
            provider,
            mcp_server,
            authz: listen[..authz].to_vec(),
            authz_ops: operations[..authz].to_vec(),
        }
    }
}

impl Drop for Stack {
    #[expect(clippy::print_stderr, reason = "the test runner shows it beside the failure")]
    fn drop(&mut self) {
        if thread::panicking() {
            for (part, state) in &self.parts {
                eprintln!("--- {part:?}\n{}", tail(&state.program.log, LOG_LINES));
            }
        }
    }
}

//! What a stack is made of, and in which order it starts.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portcullis_proto::mesh::Role;
use serde_json::{Value, json};
use tokio::process::Command;

use super::config::{CERTIFICATE, INITIAL_ACCESS_TOKEN, SERVER, config, secure};
use super::mesh::Mesh;
use super::{Addresses, Part, Stack, State, Upstream};
use crate::binaries::{root, tools, workspace};
use crate::front::{Front, Manner};
use crate::process::Program;
use crate::programs::{CONTROL_PLANE, Place, free_addresses};

/// Where users log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The demo's: knows `ada`, `grace` and `alan`.
    #[default]
    Demo,
    /// `oidc-provider` for Node.js: knows whoever comes.
    OidcProvider,
    /// The same, where every client registers: knows no app of ours.
    Registering,
    /// The same, where it fetches each client's metadata, by https: the edge has a certificate of its own.
    Documents,
    /// GitHub, emulated: knows `ada`, whose address is of `example.com`, and `eve`.
    GitHub,
    /// Google, emulated: knows `ada@example.com`, who is of a Workspace domain, and `eve@gmail.com`.
    Google,
    /// Nobody can log in.
    None,
}

/// What is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum McpServer {
    /// Inside the test: records what reaches it.
    #[default]
    Recording,
    /// The demo's, made with rmcp.
    Demo,
    /// Made with FastMCP, in Python.
    FastMcp,
    /// Made with `mcp`, in Python: what the conformance suite asks for.
    Everything,
}

type Change = Box<dyn FnOnce(&mut Value, &Addresses) + Send>;
type ChangeAuthz = Box<dyn Fn(usize, &mut Value) + Send>;

/// Puts a stack together.
#[derive(Default)]
pub struct Builder {
    provider: Provider,
    mcp_server: McpServer,
    further_authz: usize,
    addresses: Option<Addresses>,
    provider_token_seconds: Option<u64>,
    faults: bool,
    mesh: bool,
    small_disk: Option<(Part, u64)>,
    front: Option<Manner>,
    tls: bool,
    stream: Option<Duration>,
    log_level: Option<&'static str>,
    configure: Vec<Change>,
    configure_authz: Vec<ChangeAuthz>,
}

// === impl Builder ===

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Builder {
    /// Where users log in.
    #[must_use]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    /// How long the access tokens of the demo provider or of `oidc-provider` live; an hour otherwise.
    #[must_use]
    pub fn provider_token_seconds(mut self, seconds: u64) -> Self {
        self.provider_token_seconds = Some(seconds);
        self
    }

    /// What is protected.
    #[must_use]
    pub fn mcp_server(mut self, mcp_server: McpServer) -> Self {
        self.mcp_server = mcp_server;
        self
    }

    /// How many authz instances there are; at least one.
    #[must_use]
    pub fn authz(mut self, instances: usize) -> Self {
        self.further_authz = instances.saturating_sub(1);
        self
    }

    /// Where everything listens, where a test must know it before: see [`Addresses::free`].
    #[must_use]
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.further_authz = addresses.authz.len().saturating_sub(1);
        self.addresses = Some(addresses);
        self
    }

    /// Changes each instance's `authz.yaml` before anything starts.
    #[must_use]
    pub fn configure_authz(mut self, change: impl Fn(usize, &mut Value) + Send + 'static) -> Self {
        self.configure_authz.push(Box::new(change));
        self
    }

    /// Puts the fault shim under the control plane and the authz instances: see [`Stack::power_cut`] and
    /// [`Stack::set_clock`].
    #[must_use]
    pub fn faults(mut self) -> Self {
        self.faults = true;
        self
    }

    /// Lets Envoy, authz, control plane and operators speak mutual TLS to each other.
    #[must_use]
    pub fn mesh(mut self) -> Self {
        self.mesh = true;
        self
    }

    /// Puts the store of the control plane or of an authz instance on a disk of its own, of so many bytes: see
    /// [`Stack::small_disk`].
    #[must_use]
    pub fn small_disk(mut self, part: Part, bytes: u64) -> Self {
        self.small_disk = Some((part, bytes));
        self
    }

    /// Gives the edge a certificate, which nobody vouches for: clients and browsers speak https.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// How long one request to the MCP server may last; a quarter of an hour otherwise.
    #[must_use]
    pub fn stream(mut self, bound: Duration) -> Self {
        self.stream = Some(bound);
        self
    }

    /// What `RUST_LOG` says to the control plane and the authz instances; nothing otherwise.
    #[must_use]
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = Some(level);
        self
    }

    /// Puts a proxy in front of the edge, at the address that clients know: see [`Stack::front`].
    #[must_use]
    pub fn front(mut self, manner: Manner) -> Self {
        self.front = Some(manner);
        self
    }

    /// Changes `portcullis.yaml` before anything starts.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Value, &Addresses) + Send + 'static) -> Self {
        self.configure.push(Box::new(change));
        self
    }

    /// Starts everything and waits until it is ready.
    pub async fn start(self) -> Stack {
        let directory = tempfile::tempdir().expect("a directory");
        let addresses = self.addresses.unwrap_or_else(|| Addresses::free(self.further_authz + 1));
        let mut config = config(directory.path(), &addresses, self.provider);
        if self.tls || self.provider == Provider::Documents {
            secure(directory.path(), &mut config);
        }
        let mesh = self.mesh.then(|| Mesh::make(directory.path()));
        if let Some(mesh) = &mesh {
            mesh.configure(&mut config);
        }
        let front = self.front.map(|manner| (manner, free_addresses::<1>().expect("a free port")[0]));
        if let Some((_, behind)) = &front {
            config["edge"]["listen"] = json!(behind);
        }
        for change in self.configure {
            change(&mut config, &addresses);
        }
        let url = config["servers"][SERVER]["url"].as_str().expect("a URL").to_owned();
        let file = directory.path().join("portcullis.yaml");
        fs::write(&file, format!("{config:#}\n")).expect("a file");

        let upstream = match self.mcp_server {
            McpServer::Recording => Some(Upstream::start(addresses.mcp_server).await),
            McpServer::Demo | McpServer::FastMcp | McpServer::Everything => None,
        };
        let mut stack = Stack {
            directory,
            addresses,
            url,
            parts: BTreeMap::new(),
            shims: BTreeMap::new(),
            small_disk: None,
            mesh,
            upstream,
            front: None,
        };
        let place = Place { directory: stack.directory().to_owned(), own_groups: false };
        render_edge(&file, &place.directory, self.stream).await;
        let authz = |index: usize, settings: &mut Value| {
            for change in &self.configure_authz {
                change(index, settings);
            }
        };
        for (part, mut program) in programs(&place, &stack, &file, self.provider, self.mcp_server, &authz) {
            if let (Part::Provider, Some(seconds)) = (part, self.provider_token_seconds) {
                program.arguments.extend(["--access-token-seconds".to_owned(), seconds.to_string()]);
            }
            if let (Part::ControlPlane | Part::Authz(_), Some(level)) = (part, self.log_level) {
                program.environment.push(("RUST_LOG".to_owned(), level.to_owned()));
            }
            stack.parts.insert(part, State { program, running: None });
        }
        if self.faults {
            stack.add_shims();
        }
        if let Some((part, bytes)) = self.small_disk {
            stack.add_small_disk(part, bytes).await;
        }
        // In the order of the parts, each when the one before is ready.
        for part in stack.parts.keys().copied().collect::<Vec<_>>() {
            stack.start(part).await;
        }
        if let Some((manner, behind)) = front {
            stack.front = Some(Front::start(stack.addresses.edge, behind, manner).await);
        }
        stack
    }
}

fn programs(
    place: &Place,
    stack: &Stack,
    config: &Path,
    provider: Provider,
    mcp_server: McpServer,
    configure_authz: &dyn Fn(usize, &mut Value),
) -> Vec<(Part, Program)> {
    let at = &stack.addresses;
    let config = config.to_string_lossy();
    let control_plane = place.control_plane(&config, at.ops);
    let edge = place.envoy(&place.directory.join("envoy.yaml").to_string_lossy(), at.admin);
    let mut programs = vec![(Part::ControlPlane, control_plane), (Part::Edge, edge)];
    for (index, (listen, ops)) in at.authz.iter().zip(&at.authz_ops).enumerate() {
        let (name, grpc) = (format!("authz-{index}"), stack.control_plane());
        let change = |settings: &mut Value| {
            if let Some(mesh) = &stack.mesh {
                settings["mesh"] = mesh.section(Role::Authz);
            }
            configure_authz(index, settings);
        };
        let program = place.authz(&name, *listen, *ops, &grpc, change).expect("a file");
        programs.push((Part::Authz(index), program));
    }
    let redirect_uri = format!("{}/callback", stack.origin());
    match provider {
        Provider::Demo => programs.push((Part::Provider, place.demo_provider(at.provider, &redirect_uri))),
        Provider::OidcProvider => {
            programs.push((Part::Provider, Ok(oidc_provider(place, at.provider, &redirect_uri, &[]))));
        }
        Provider::Registering => {
            // So short that each access token of ours makes the control plane refresh.
            let more = ["--initial-access-token", INITIAL_ACCESS_TOKEN, "--access-token-seconds", "70"];
            programs.push((Part::Provider, Ok(oidc_provider(place, at.provider, &redirect_uri, &more))));
        }
        Provider::Documents => {
            let more = ["--documents", "--access-token-seconds", "70"];
            let mut program = oidc_provider(place, at.provider, &redirect_uri, &more);
            let certificate = place.directory.join(CERTIFICATE).to_string_lossy().into_owned();
            program.environment.push(("NODE_EXTRA_CA_CERTS".into(), certificate));
            programs.push((Part::Provider, Ok(program)));
        }
        Provider::GitHub => {
            let program = emulator(place, "github", "/meta", at.provider, &redirect_uri);
            programs.push((Part::Provider, Ok(program)));
        }
        Provider::Google => {
            let ready = "/.well-known/openid-configuration";
            let program = emulator(place, "google", ready, at.provider, &redirect_uri);
            programs.push((Part::Provider, Ok(program)));
        }
        Provider::None => {}
    }
    match mcp_server {
        McpServer::Recording => {}
        McpServer::Demo => programs.push((Part::McpServer, place.demo_mcp(at.mcp_server))),
        McpServer::FastMcp => {
            programs.push((Part::McpServer, Ok(python(place, "fastmcp_server", at.mcp_server))));
        }
        McpServer::Everything => {
            programs.push((Part::McpServer, Ok(python(place, "everything_server", at.mcp_server))));
        }
    }
    let found = |(part, program): (Part, Result<Program, _>)| {
        (part, program.unwrap_or_else(|missing| panic!("{missing}")))
    };
    programs.into_iter().map(found).collect()
}

fn oidc_provider(place: &Place, listen: SocketAddr, redirect_uri: &str, more: &[&str]) -> Program {
    let script = root().join("tests/node/oidc-provider.mjs").to_string_lossy().into_owned();
    let port = listen.port().to_string();
    let ready = format!("http://localhost:{port}/.well-known/openid-configuration");
    let arguments = [script.as_str(), "--port", &port, "--redirect-uri", redirect_uri];
    let arguments = [arguments.as_slice(), more].concat();
    place.program("oidc-provider", "node".into(), &arguments, ready)
}

fn emulator(place: &Place, service: &str, ready: &str, listen: SocketAddr, redirect_uri: &str) -> Program {
    let script = root().join("tests/node/emulate.mjs").to_string_lossy().into_owned();
    let port = listen.port().to_string();
    let arguments = [script.as_str(), "--service", service, "--port", &port, "--redirect-uri", redirect_uri];
    place.program(service, "node".into(), &arguments, format!("http://localhost:{port}{ready}"))
}

fn python(place: &Place, name: &str, listen: SocketAddr) -> Program {
    let script = root().join(format!("tests/python/{name}.py")).to_string_lossy().into_owned();
    let arguments = [script.as_str(), &listen.port().to_string()];
    place.program(name, tools("bin/python"), &arguments, format!("http://{listen}/healthz"))
}

/// Writes `envoy.yaml` as the control plane renders it.
async fn render_edge(config: &Path, directory: &Path, stream: Option<Duration>) {
    let binary = workspace(CONTROL_PLANE).unwrap_or_else(|missing| panic!("{missing}"));
    let output = Command::new(binary).arg("envoy").arg("--config").arg(config).output();
    let output = output.await.expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut text = String::from_utf8(output.stdout).expect("text");
    if let Some(stream) = stream {
        let of = |seconds: u64| format!("max_stream_duration: {{ max_stream_duration: \"{seconds}s\" }}");
        assert!(text.contains(&of(900)), "the edge's bound is another one");
        text = text.replace(&of(900), &of(stream.as_secs()));
    }
    fs::write(directory.join("envoy.yaml"), text).expect("a file");
}

//! Envoy as a child process.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use portcullis_envoy::{Edge, render};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::Request;
use crate::binaries::envoy;

/// How long Envoy may take to start.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// Envoy, running with a rendered configuration. Killed when it is dropped.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    directory: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
}

/// What Envoy says of a configuration: `envoy --mode validate`.
pub fn validate(yaml: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.yaml");
    std::fs::write(&file, yaml).unwrap();
    Command::new(envoy().unwrap()).args(["--mode", "validate", "--config-path"]).arg(file).output().unwrap()
}

// === impl Envoy ===

impl Envoy {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it stops or is not ready in time; says what it logged.
    pub async fn start(edge: &Edge) -> Self {
        Self::start_with(edge, &render(edge).unwrap()).await
    }

    /// The same, but each connection begins with a PROXY header, which says from which address it comes.
    pub async fn start_behind_a_proxy(edge: &Edge) -> Self {
        let filter = "    listener_filters: [ { name: proxy, typed_config: { \"@type\": type.googleapis.com/envoy.extensions.\
                      filters.listener.proxy_protocol.v3.ProxyProtocol } } ]\n    filter_chains:\n";
        let yaml = render(edge).unwrap();
        assert_eq!(yaml.matches("    filter_chains:\n").count(), 1);
        Self::start_with(edge, &yaml.replace("    filter_chains:\n", filter)).await
    }

    async fn start_with(edge: &Edge, yaml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("envoy.yaml");
        std::fs::write(&file, yaml).unwrap();
        let output = |name: &str| Stdio::from(File::create(directory.path().join(name)).unwrap());
        let child = Command::new(envoy().unwrap())
            .arg("--config-path")
            .arg(file)
            // Shared memory of its own: tests run side by side.
            .args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"])
            .args(["--file-flush-interval-msec", "20"])
            .stdout(output("access.log"))
            .stderr(output("envoy.log"))
            .spawn()
            .unwrap();
        let mut envoy = Self { child, directory, address: edge.listen, admin: edge.admin };
        envoy.ready().await;
        envoy
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + START_DEADLINE;
        while !self.is_ready().await {
            let stopped = self.child.try_wait().unwrap();
            let running = stopped.is_none() && Instant::now() < deadline;
            assert!(running, "Envoy is not ready ({stopped:?}):\n{}", self.read("envoy.log"));
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        TcpStream::connect(self.admin).await.is_ok()
            && Request::new("GET", "/ready").send(self.admin).await.status == 200
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The access log so far, a JSON object in each line.
    pub fn access_log(&self) -> String {
        self.read("access.log")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Fails where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

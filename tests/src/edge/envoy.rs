//! Envoy as a child process.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use portcullis_envoy::{Edge, render};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::Request;

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

/// Envoy's executable: from `PORTCULLIS_ENVOY`, from what `make tools` installs, or from `PATH`.
///
/// # Panics
/// Where there is none.
pub fn executable() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/venv/bin/envoy");
    let candidates =
        [std::env::var_os("PORTCULLIS_ENVOY").map(PathBuf::from), Some(installed), Some("envoy".into())];
    let runs = |path: &PathBuf| {
        Command::new(path).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    candidates
        .into_iter()
        .flatten()
        .find(runs)
        .expect("no Envoy found: run `make tools`, or set PORTCULLIS_ENVOY")
}

/// `127.0.0.1` with a port that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What Envoy says of a configuration: `envoy --mode validate`.
pub fn validate(yaml: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.yaml");
    std::fs::write(&file, yaml).unwrap();
    Command::new(executable()).args(["--mode", "validate", "--config-path"]).arg(file).output().unwrap()
}

// === impl Envoy ===

impl Envoy {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it stops or is not ready in time; says what it logged.
    pub async fn start(edge: &Edge) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("envoy.yaml");
        std::fs::write(&file, render(edge).unwrap()).unwrap();
        let output = |name: &str| Stdio::from(File::create(directory.path().join(name)).unwrap());
        let child = Command::new(executable())
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

//! The program as operators run it.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portcullis_control_plane::config::StoreConfig;
use portcullis_control_plane::edge;
use portcullis_control_plane::keys::MasterKeys;
use portcullis_control_plane::store::sled::SledStore;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::{Clock, SystemClock};
use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::watch_request::Message;
use serde_json::Value;
use support::{CONFIG, LoggedIn, Login};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a command came to.
struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program to its end.
fn program(arguments: &[&str], stdin: &str) -> Output {
    let mut child = command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It may end without having read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let output =
        Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert_no_secret(&output.stdout);
    assert_no_secret(&output.stderr);
    output
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-control-plane"));
    command.args(arguments).stderr(Stdio::piped());
    command.env_remove("RUST_LOG").env_remove("PORTCULLIS_CONTROL_PLANE");
    command
}

/// Errors may name the prefix of a token, never what follows it.
#[track_caller]
fn assert_no_secret(text: &str) {
    let token = |rest: &str| rest.starts_with(|first: char| first.is_ascii_alphanumeric());
    assert!(!text.contains("s3cr3t") && !text.split("pcl_at_").skip(1).any(token), "a secret is in {text}");
}

// === files ===

struct Home {
    directory: TempDir,
    file: PathBuf,
}

impl Home {
    fn new() -> Self {
        Self::with(CONFIG)
    }

    fn with(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("portcullis.yaml");
        fs::write(&file, config).unwrap();
        Self { directory, file }
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn keys(&self) -> PathBuf {
        support::config(self.directory.path()).keys
    }

    /// Leaves in the store what a login leaves there.
    fn log_in(&self) -> LoggedIn {
        let config = support::config(self.directory.path());
        let StoreConfig::Sled { path } = &config.store;
        let store = SledStore::open(path, &SystemRandom).unwrap();
        let keys = MasterKeys::open(&config.keys, &SystemRandom).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(support::log_in(&store, &keys, Login::default(), SystemClock.now()))
    }
}

// === a running control plane ===

struct Serve {
    child: Child,
    log: Option<JoinHandle<Vec<String>>>,
    grpc: String,
    ops: SocketAddr,
}

impl Serve {
    fn start(home: &Home) -> Self {
        let mut child = command(&["serve", "--config", home.file()]).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        let log = thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines.inspect(|line| drop(sender.send(line.clone()))).collect()
        });
        let started: Value = loop {
            let line = lines.recv_timeout(PATIENCE).unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "control plane started" {
                break line;
            }
        };
        let address = |key: &str| started[key].as_str().unwrap().to_owned();
        let (grpc, ops) = (format!("http://{}", address("grpc")), address("ops").parse().unwrap());
        Self { child, log: Some(log), grpc, ops }
    }

    /// What an operator asks of it.
    fn ask(&self, arguments: &[&str], stdin: &str) -> Output {
        program(&[arguments, &["--control-plane", &self.grpc]].concat(), stdin)
    }

    fn ready(&self) -> bool {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(self.ops).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200 ")
    }

    /// Sends SIGTERM, and gives how it ended and all that it logged.
    fn stop(mut self) -> (ExitStatus, Vec<Value>) {
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(kill.unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    self.child.kill().unwrap();
                    panic!("it goes on after SIGTERM");
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let log = self.log.take().unwrap().join().unwrap();
        assert_no_secret(&log.concat());
        (status, log.iter().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

/// A failed test leaves no process behind.
impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === check, envoy ===

#[test]
fn check_accepts_a_good_file() {
    let home = Home::new();
    let output = program(&["check", "--config", home.file()], "");
    assert_eq!(output.stdout, format!("{}: good: 2 servers, 1 providers\n", home.file()));
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}

#[test]
fn check_names_everything_that_is_wrong() {
    let config = CONFIG
        .replace("kind: oidc", "kind: odic")
        .replace("docs/mcp", "")
        .replace("listen: { http:", "listen: { htpp:");
    let home = Home::with(&config);
    let output = program(&["check", "--config", home.file()], "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    for place in [":1: listen.htpp: ", ":5: providers.corp.kind: ", ":12: servers.docs.url: "] {
        assert!(output.stderr.contains(&format!("{}{place}", home.file())), "{place} in {}", output.stderr);
    }
    let missing = program(&["check", "--config", "/nowhere/portcullis.yaml"], "");
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/nowhere/portcullis.yaml: cannot be read"), "{}", missing.stderr);
}

#[test]
fn envoy_prints_or_writes_the_edge() {
    let home = Home::new();
    let expected = edge::render(&support::config(home.directory.path())).unwrap();
    let printed = program(&["envoy", "--config", home.file()], "");
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    assert!(printed.stdout == expected, "{}", printed.stdout);

    let target = home.directory.path().join("envoy.yaml");
    let written = program(&["envoy", "--config", home.file(), "--output", target.to_str().unwrap()], "");
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""));
    assert!(fs::read_to_string(&target).unwrap() == expected);

    let nowhere = program(&["envoy", "--config", home.file(), "--output", "/nowhere/envoy.yaml"], "");
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.contains("/nowhere/envoy.yaml: "), "{}", nowhere.stderr);
}

// === serve ===

#[test]
fn serve_is_ready_and_stops_when_it_is_told_to() {
    let home = Home::new();
    let serve = Serve::start(&home);
    assert!(serve.ready());

    let second = program(&["serve", "--config", home.file()], "");
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("another process is using this store"), "{}", second.stderr);

    let began = Instant::now();
    let (status, log) = serve.stop();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(log.last().unwrap()["message"], "control plane stopped");
    for line in log {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }

    // And starts again on what it left.
    assert!(Serve::start(&home).stop().0.success());
}

#[test]
fn t34_serve_does_not_start_without_the_keys_of_its_grants() {
    let home = Home::new();
    home.log_in();
    fs::rename(home.keys(), home.directory.path().join("elsewhere")).unwrap();
    let output = program(&["serve", "--config", home.file()], "");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("no master key ring: restore it from a backup"), "{}", output.stderr);
    assert!(!home.keys().exists(), "no new keys are made");
    fs::rename(home.directory.path().join("elsewhere"), home.keys()).unwrap();
    assert!(Serve::start(&home).stop().0.success());
}

#[test]
fn serve_names_the_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = Home::with(&CONFIG.replace("ops: '127.0.0.1:0'", &format!("ops: '{address}'")));
    let output = program(&["serve", "--config", home.file()], "");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains(&format!("listen.ops: {address}: ")), "{}", output.stderr);
    assert!(!Path::new(&home.keys()).exists(), "nothing is made before the ports are there");
}

// === what operators ask ===

#[test]
fn operators_list_and_revoke() {
    let home = Home::new();
    let login = home.log_in();
    let serve = Serve::start(&home);

    let grants = serve.ask(&["grants", "list"], "");
    assert_eq!(grants.code, Some(0), "{}", grants.stderr);
    let row =
        format!("{}\tdocs\tcorp\talice\talice@example.com\teditor\tAn editor\topenid email", login.grant);
    assert_eq!(grants.stdout.lines().nth(1), Some(row.as_str()));
    let clients = serve.ask(&["clients", "list"], "");
    assert_eq!(
        clients.stdout.lines().nth(1),
        Some("editor\tAn editor\tnone\tyes\thttp://127.0.0.1/callback")
    );
    assert_eq!(serve.ask(&["instances", "list"], "").stdout, "INSTANCE\tAPPLIED\tBEHIND\n");

    let nope = serve.ask(&["grants", "revoke", "nope"], "");
    assert_eq!((nope.code, nope.stdout.as_str()), (Some(1), ""));
    assert_eq!(nope.stderr, "portcullis-control-plane: there is no such live grant\n");
    let garbage = serve.ask(&["tokens", "revoke"], "garbage\n");
    assert_eq!(garbage.code, Some(1));
    assert!(garbage.stderr.contains("standard input: the token's prefix is not"), "{}", garbage.stderr);
    assert_eq!(serve.ask(&["everything", "revoke"], "").code, Some(2), "it must be meant");

    let grant = login.grant.to_string();
    for (number, (arguments, stdin)) in [
        (&["tokens", "revoke"][..], login.token.as_str()),
        (&["grants", "revoke", &grant], ""),
        (&["clients", "revoke", "editor"], ""),
        (&["subjects", "revoke", "corp", "alice"], ""),
        (&["servers", "revoke", "docs"], ""),
        (&["everything", "revoke", "--yes"], ""),
    ]
    .into_iter()
    .enumerate()
    {
        let output = serve.ask(arguments, stdin);
        assert_eq!(output.code, Some(0), "{arguments:?}: {}", output.stderr);
        let start = format!("revoked: entry {}, effective on 0 of 0 instances after ", number + 1);
        assert!(output.stdout.starts_with(&start), "{arguments:?}: {}", output.stdout);
    }
    assert_eq!(serve.ask(&["grants", "list"], "").stdout.lines().count(), 1);
    serve.stop();
}

#[test]
fn a_revocation_that_is_not_everywhere_has_its_own_exit_code() {
    let home = Home::new();
    let serve = Serve::start(&home);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let hello = Message::Hello(v1::Hello { instance: "authz-1".into(), position: None });
    let hello = v1::WatchRequest { message: Some(hello) };
    let address = serve.grpc.clone();
    let stream = runtime.block_on(async {
        let mut client = ReplicaClient::connect(address).await.unwrap();
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(hello).await.unwrap();
        let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut responses = client.watch(requests).await.unwrap().into_inner();
        responses.message().await.unwrap();
        (sender, responses)
    });
    let output = serve.ask(&["everything", "revoke", "--yes"], "");
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stdout.contains("effective on 0 of 1 instances"), "{}", output.stdout);
    assert!(output.stdout.ends_with("\nnot yet on: authz-1\n"), "{}", output.stdout);
    assert_eq!(serve.ask(&["instances", "list"], "").stdout, "INSTANCE\tAPPLIED\tBEHIND\nauthz-1\t0\t1\n");
    drop(stream);
    serve.stop();
}

#[test]
fn without_a_control_plane_operators_are_told_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let refused = program(&["grants", "list", "--control-plane", &url], "");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert_eq!(refused.stderr, format!("portcullis-control-plane: no control plane answers at {url}\n"));
    for url in ["127.0.0.1:8081", "https://127.0.0.1:8081", "not a url"] {
        let output = program(&["grants", "list", "--control-plane", url], "");
        assert_eq!(output.code, Some(1));
        assert!(output.stderr.contains("--control-plane: "), "{url}: {}", output.stderr);
    }
}

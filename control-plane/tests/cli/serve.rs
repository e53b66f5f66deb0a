//! `serve`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portcullis_proto::time::{Clock, SystemClock};
use serde_json::Value;

use crate::home::Home;
use crate::program::{Output, PROGRAM, assert_no_secret, command, program};
use crate::support::CONFIG;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Serve {
    child: Child,
    log: Option<JoinHandle<Vec<String>>>,
    pub(crate) grpc: String,
    ops: SocketAddr,
}

impl Serve {
    pub(crate) fn start(home: &Home) -> Self {
        Self::start_with(home, &[])
    }

    pub(crate) fn start_with(home: &Home, options: &[&str]) -> Self {
        Self::spawn(&mut command(&[&["serve", "--config", home.file()], options].concat()))
    }

    /// In the environment that a shell has prepared.
    pub(crate) fn start_after(preparation: &str, home: &Home) -> Self {
        let script = format!("{preparation} && exec \"$0\" serve --config \"$1\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, PROGRAM, home.file()]).stderr(Stdio::piped());
        Self::spawn(&mut shell)
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
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

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What an operator asks of it.
    pub(crate) fn ask(&self, arguments: &[&str], stdin: &str) -> Output {
        program(&[arguments, &["--control-plane", &self.grpc]].concat(), stdin)
    }

    pub(crate) fn ready(&self) -> bool {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(self.ops).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200 ")
    }

    /// Sends SIGTERM, and gives how it ended and all that it logged.
    pub(crate) fn stop(mut self) -> (ExitStatus, Vec<Value>) {
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
fn t34_serve_does_not_start_by_a_clock_that_is_behind_its_store() {
    let home = Home::new();
    home.swept(SystemClock.now().after(Duration::from_secs(30)));
    assert!(Serve::start(&home).stop().0.success(), "clocks differ a little");
    home.swept(SystemClock.now().after(Duration::from_hours(2)));
    let output = program(&["serve", "--config", home.file()], "");
    assert_eq!(output.code, Some(1));
    for part in ["clock: it says 20", "the store was in use at 20", "--accept-clock"] {
        assert!(output.stderr.contains(part), "{}", output.stderr);
    }
    // Once it has been told that the clock is right, it is.
    let deadline = Instant::now() + PATIENCE;
    let is_noted = || home.swept_at() < SystemClock.now().after(Duration::from_secs(1));
    while !is_noted() {
        // It may be told to stop before it has swept for the first time.
        let serve = Serve::start_with(&home, &["--accept-clock"]);
        while !serve.ready() {
            assert!(Instant::now() < deadline);
        }
        assert!(serve.stop().0.success());
        assert!(Instant::now() < deadline);
    }
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
    assert!(!home.keys().exists(), "nothing is made before the ports are there");
}

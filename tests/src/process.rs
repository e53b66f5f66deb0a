//! Child processes: started, waited for until they are ready, stopped, and never left behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(25);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A program and everything that is needed to start it, as often as one likes.
#[derive(Clone, Debug)]
pub struct Program {
    /// What people call it.
    pub name: String,
    /// The executable file.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Set beside what this process has.
    pub environment: Vec<(String, String)>,
    /// The file that its output is appended to.
    pub log: PathBuf,
    /// Answers 2xx when it is ready.
    pub ready: String,
    /// Whether it gets a process group of its own, so that Ctrl-C in the terminal does not reach it.
    pub own_group: bool,
}

/// A program that has been started. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Running {
    program: Program,
    child: Child,
}

/// Why a program does not run.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// There is no such executable, or no place for its log.
    #[error("cannot start {name} ({executable}): {source}")]
    Start {
        /// The program's name.
        name: String,
        /// Its file.
        executable: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has stopped by itself.
    #[error("{name} has stopped ({status}); its log is {log}")]
    Exited {
        /// The program's name.
        name: String,
        /// How it stopped.
        status: ExitStatus,
        /// Where to read more.
        log: PathBuf,
    },
    /// It runs, but is not ready.
    #[error("{name} is not ready after {within:?}; its log is {log}")]
    NotReady {
        /// The program's name.
        name: String,
        /// How long it was given.
        within: Duration,
        /// Where to read more.
        log: PathBuf,
    },
}

// === impl Program ===

impl Program {
    /// Starts the program, without waiting for it to be ready.
    pub fn start(&self) -> Result<Running, ProcessError> {
        let child = self.spawn().map_err(|source| ProcessError::Start {
            name: self.name.clone(),
            executable: self.executable.clone(),
            source,
        })?;
        Ok(Running { program: self.clone(), child })
    }

    fn spawn(&self) -> io::Result<Child> {
        if let Some(directory) = self.log.parent() {
            fs::create_dir_all(directory)?;
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.executable);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if self.own_group {
            command.process_group(0);
        }
        command.spawn()
    }
}

// === impl Running ===

impl Running {
    /// What was started.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the program answers 2xx where it says that it is ready.
    pub async fn ready(&mut self, within: Duration) -> Result<(), ProcessError> {
        let client = reqwest::Client::new();
        let poll = async {
            loop {
                let probe = client.get(&self.program.ready).timeout(PROBE_TIMEOUT).send().await;
                if probe.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
                sleep(POLL).await;
            }
        };
        tokio::select! {
            answer = timeout(within, poll) => answer.map_err(|_| ProcessError::NotReady {
                name: self.program.name.clone(),
                within,
                log: self.program.log.clone(),
            }),
            status = self.child.wait() => Err(exited(&self.program, status)),
        }
    }

    /// Waits until the program stops by itself.
    pub async fn exited(&mut self) -> ProcessError {
        let status = self.child.wait().await;
        exited(&self.program, status)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // The only failure is that it is gone already.
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGTERM, then SIGKILL where that was not enough in time.
    pub async fn stop(mut self, within: Duration) {
        self.signal(Signal::TERM);
        if timeout(within, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        // Fails only where it is gone already.
        let _ = self.child.kill().await;
    }
}

fn exited(program: &Program, status: io::Result<ExitStatus>) -> ProcessError {
    match status {
        Ok(status) => ProcessError::Exited { name: program.name.clone(), status, log: program.log.clone() },
        Err(source) => {
            ProcessError::Start { name: program.name.clone(), executable: program.executable.clone(), source }
        }
    }
}

/// The last `lines` lines of a log.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let skipped = text.lines().count().saturating_sub(lines);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, directory: &Path) -> Program {
        Program {
            name: "shell".to_owned(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: Vec::new(),
            log: directory.join("logs/shell.log"),
            ready: "http://127.0.0.1:9/".to_owned(),
            own_group: false,
        }
    }

    #[tokio::test]
    async fn what_stops_early_says_so_and_where_its_log_is() {
        let directory = tempfile::tempdir().unwrap();
        let mut running = shell("echo first; echo last; exit 3", directory.path()).start().unwrap();
        let error = running.ready(Duration::from_secs(10)).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("logs/shell.log"), "{error}");
        assert_eq!(tail(&running.program().log, 1), "last");
    }

    #[tokio::test]
    async fn what_ignores_sigterm_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let running = shell("trap '' TERM; echo up; while :; do sleep 0.1; done", directory.path());
        let running = running.start().unwrap();
        let pid = Pid::from_raw(running.child.id().unwrap().cast_signed()).unwrap();
        while !tail(&running.program().log, 1).contains("up") {
            sleep(POLL).await;
        }
        running.stop(Duration::from_millis(100)).await;
        assert!(rustix::process::test_kill_process(pid).is_err(), "it is still there");
    }

    #[tokio::test]
    async fn what_is_dropped_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let running = shell("sleep 60", directory.path()).start().unwrap();
        let pid = Pid::from_raw(running.child.id().unwrap().cast_signed()).unwrap();
        drop(running);
        let gone = async {
            while rustix::process::test_kill_process(pid).is_ok() {
                sleep(POLL).await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.expect("it is still there");
    }
}

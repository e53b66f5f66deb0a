//! The program as operators run it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A started instance, with a store below its home. A failed test leaves no process behind.
struct Program {
    child: Child,
    home: TempDir,
}

impl Program {
    /// In the environment that a shell has prepared.
    fn start_after(preparation: &str, home: TempDir) -> Self {
        let config = home.path().join("authz.yaml");
        let store = home.path().join("store");
        let settings = "listen: 127.0.0.1:0\nops: 127.0.0.1:0\ncontrol_plane: http://127.0.0.1:9\n";
        fs::write(&config, format!("{settings}store: {}\n", store.display())).unwrap();
        let script = format!("{preparation} && exec \"$0\" --config \"$1\"");
        let child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_portcullis-authz"), config.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut program = Self { child, home };
        let begin = Instant::now();
        while !program.store().join("sled/db").exists() {
            assert!(begin.elapsed() < PATIENCE && program.child.try_wait().unwrap().is_none());
            sleep(Duration::from_millis(10));
        }
        program
    }

    fn store(&self) -> std::path::PathBuf {
        self.home.path().join("store")
    }

    /// Kills it, and gives what it has left.
    fn stop(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn assert_closed(path: &Path) {
    let mode = fs::metadata(path).unwrap().mode();
    assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_closed(&entry.unwrap().path());
        }
    }
}

#[test]
fn t18_whatever_an_instance_creates_is_for_its_user_alone_whatever_the_umask_is() {
    let program = Program::start_after("umask 000", tempfile::tempdir().unwrap());
    assert_closed(&program.store());
    // As earlier versions have left it.
    let home = program.stop();
    for name in ["store/lock", "store/sled/db", "store/sled/conf"] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(home.path().join(name), open).unwrap();
    }
    let program = Program::start_after("umask 022", home);
    let begin = Instant::now();
    let is_closed = |name: &str| fs::metadata(program.store().join(name)).unwrap().mode() & 0o777 == 0o600;
    while !["lock", "sled/db", "sled/conf"].into_iter().all(is_closed) {
        assert!(begin.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn t18_an_instance_leaves_no_core_dump() {
    let program = Program::start_after("ulimit -S -c \"$(ulimit -H -c)\"", tempfile::tempdir().unwrap());
    let limits = fs::read_to_string(format!("/proc/{}/limits", program.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}

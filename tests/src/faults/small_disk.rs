//! A disk that can be filled up: a small tmpfs in a mount namespace of its own. Needs no more than user
//! namespaces, so that root and others do the same.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails, and says why")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::process::Program;

/// Mounts, and then holds the namespace for as long as its standard input is open.
const HOLD: &str = r#"mount -t tmpfs -o "size=$2,mode=0700" small-disk "$1" && echo mounted && exec cat"#;

/// A mounted disk. It is gone when this and the programs on it are.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    at: PathBuf,
}

// === impl SmallDisk ===

impl SmallDisk {
    /// Mounts a disk of so many bytes at a directory, which is made. Only programs that it is put under see it.
    pub async fn mount(at: &Path, bytes: u64) -> Self {
        fs::create_dir_all(at).expect("a directory");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD, "sh"]).arg(at);
        command.arg(bytes.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut holder = command.spawn().expect("unshare (util-linux)");
        let said = BufReader::new(holder.stdout.take().expect("a pipe")).lines().next_line().await;
        let said = said.expect("a line");
        assert_eq!(said.as_deref(), Some("mounted"), "no tmpfs: are user namespaces allowed here?");
        Self { holder, at: at.to_owned() }
    }

    /// Has a program see the disk. Its process is the program's own.
    pub fn put_under(&self, program: &mut Program) {
        let mut arguments =
            ["--user", "--mount", "--preserve-credentials", "--target"].map(str::to_owned).to_vec();
        arguments.extend([self.pid().to_string(), "--".to_owned()]);
        arguments.push(program.executable.to_string_lossy().into_owned());
        arguments.append(&mut program.arguments);
        program.executable = "nsenter".into();
        program.arguments = arguments;
    }

    /// Fills it up to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        let mut block = vec![0; 1 << 20];
        while !block.is_empty() {
            match ballast.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => block.truncate(block.len() / 2),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives the space back.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("a file");
    }

    fn ballast(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid()));
        root.join(self.at.strip_prefix("/").unwrap_or(&self.at)).join("ballast")
    }

    fn pid(&self) -> u32 {
        self.holder.id().expect("a holder that lives")
    }
}

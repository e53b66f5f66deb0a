//! On what was measured, and what.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_proto::time::{Clock, SystemClock};
use portcullis_tests::binaries::{envoy, root};
use serde_json::Value;

/// Crates that do the work.
const CRATES: [&str; 9] = ["tokio", "tonic", "prost", "h2", "hyper", "axum", "sled", "aws-lc-rs", "mimalloc"];

/// A table of all that may matter.
pub fn describe() -> String {
    let rows = [
        (
            "date",
            humantime::format_rfc3339_seconds(
                UNIX_EPOCH + Duration::from_millis(SystemClock.now().as_millis()),
            )
            .to_string(),
        ),
        ("commit", said(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root()))),
        (
            "build",
            if cfg!(debug_assertions) { "debug: these figures say nothing" } else { "release" }.to_owned(),
        ),
        ("CPU", value("/proc/cpuinfo", "model name", ':')),
        ("cores", available_parallelism().map_or_else(|_| "?".to_owned(), |cores| cores.to_string())),
        ("memory", value("/proc/meminfo", "MemTotal", ':')),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("file system of the stores", file_system(&std::env::temp_dir())),
        ("rustc", said(Command::new("rustc").arg("--version").current_dir(root()))),
        ("Envoy", envoy().map_or_else(|missing| missing.to_string(), |envoy| version(&envoy))),
        ("crates", crates()),
        ("peers", peers()),
    ];
    let mut table = String::from("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(table, "| {name} | {value} |");
    }
    table
}

fn version(envoy: &Path) -> String {
    let text = said(Command::new(envoy).arg("--version"));
    // `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
    text.rsplit_once(' ').map_or(text.as_str(), |(_, version)| version).to_owned()
}

fn crates() -> String {
    let lock = read(root().join("Cargo.lock"));
    let version = |name: &str| {
        let (_, after) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", after.split_once('"')?.0))
    };
    CRATES.iter().copied().filter_map(version).collect::<Vec<_>>().join(", ")
}

fn peers() -> String {
    let requirements = read(root().join("tests/python/requirements.txt"));
    let fastmcp =
        requirements.lines().find_map(|line| line.strip_prefix("fastmcp==")?.split_whitespace().next());
    let package = read(root().join("tests/bench/peers/package.json"));
    let package: Value = serde_json::from_str(&package).unwrap_or_default();
    let npm = ["@cloudflare/workers-oauth-provider", "miniflare", "node"]
        .map(|name| format!("{name} {}", package["dependencies"][name].as_str().unwrap_or("?")));
    format!("fastmcp {}, {}", fastmcp.unwrap_or("?"), npm.join(", "))
}

/// The kind of file system that a path is on.
fn file_system(path: &Path) -> String {
    let mounts = read("/proc/self/mounts");
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let holds = mounts.filter(|(mounted, _)| path.starts_with(mounted));
    holds.max_by_key(|(mounted, _)| mounted.len()).map_or("?", |(_, kind)| kind).to_owned()
}

/// What a file of `name: value` lines says.
fn value(file: &str, name: &str, separator: char) -> String {
    let text = read(file);
    let value = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(separator));
    value.map_or("?", |(_, value)| value.trim()).to_owned()
}

fn read(file: impl AsRef<Path>) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or_else(|| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

//! That a power cut finds what it is there to find: sled's own `flush` does not survive one. With the
//! discipline of our stores, fdatasync after it, the same program loses nothing.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Write, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::sled::Db;
use portcullis_tests::faults::shim::Shim;

/// Names the database to the process that writes it.
const DATABASE: &str = "PORTCULLIS_TEST_SLED";
/// Set where it is to sync, too.
const SYNCS: &str = "PORTCULLIS_TEST_SLED_SYNCS";
const MARK: &str = "acknowledged ";
const ROWS: usize = 200;
const SEEDS: u64 = 20;

#[test]
fn sled_alone_does_not_survive_a_power_cut() {
    if let Some(path) = env::var_os(DATABASE) {
        return write_for_ever(path.as_ref(), env::var_os(SYNCS).is_some());
    }
    assert_eq!(power_cuts(true), SEEDS, "flush and fdatasync");
    assert!(power_cuts(false) < SEEDS / 2, "flush alone");
}

/// A kill between an operation and its record would make a power cut lose what an earlier sync had made durable.
#[test]
fn whenever_a_program_is_killed_its_journal_has_all_that_it_did() {
    for rows in 0..60 {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let database = home.join("database");
        let shim = Shim::watch(&home.join("shim"), std::slice::from_ref(&database)).unwrap();
        kill_after(rows, &database, &shim, false);
        assert_eq!(shim.missed().unwrap(), Vec::<PathBuf>::new(), "killed after {rows} rows");
    }
}

/// How many of the power cuts leave a database that opens and has every acknowledged row.
fn power_cuts(syncs: bool) -> u64 {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    let database = home.join("database");
    let shim = Shim::watch(&home.join("shim"), std::slice::from_ref(&database)).unwrap();
    let acknowledged = kill_after(ROWS, &database, &shim, syncs);
    (0..SEEDS)
        .filter(|seed| {
            shim.after_power_cut(*seed).unwrap().replace(std::slice::from_ref(&database)).unwrap();
            has(&database, acknowledged)
        })
        .count() as u64
}

/// Lets a process of this very test write so many rows, kills it, and tells how many it has acknowledged.
fn kill_after(rows: usize, database: &Path, shim: &Shim, syncs: bool) -> u64 {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "sled::sled_alone_does_not_survive_a_power_cut"]);
    command.env(DATABASE, database).envs(shim.environment()).stdout(Stdio::piped());
    if syncs {
        command.env(SYNCS, "1");
    }
    let mut writer = command.spawn().unwrap();
    let said = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut rows_said = said.filter_map(|line| line.strip_prefix(MARK)?.parse().ok());
    let acknowledged = rows_said.by_ref().nth(rows).unwrap();
    shim.between_operations(|| writer.kill()).unwrap().unwrap(); // SIGKILL
    writer.wait().unwrap();
    rows_said.last().unwrap_or(acknowledged)
}

fn open(path: &Path) -> ::sled::Result<Db> {
    ::sled::Config::new().path(path).segment_size(8 << 20).flush_every_ms(None).open()
}

fn write_for_ever(path: &Path, syncs: bool) {
    let mut said = stdout();
    let db = open(path).unwrap();
    let data = File::open(path.join("db")).unwrap();
    // What sled has written without syncing it, and the names: only the rows are in question.
    for file in path.read_dir().unwrap() {
        File::open(file.unwrap().path()).unwrap().sync_all().unwrap();
    }
    File::open(path).unwrap().sync_all().unwrap();
    for row in 0_u64.. {
        db.insert(row.to_be_bytes(), [7; 200].as_slice()).unwrap();
        db.flush().unwrap();
        if syncs {
            data.sync_data().unwrap();
        }
        writeln!(said, "\n{MARK}{row}").unwrap();
    }
}

/// Whether the database opens and has all rows up to this one. Some damage makes sled panic.
fn has(path: &Path, last: u64) -> bool {
    let all = || {
        open(path).and_then(|db| {
            (0..=last).try_fold(true, |all, row| Ok(all && db.contains_key(row.to_be_bytes())?))
        })
    };
    matches!(catch_unwind(AssertUnwindSafe(all)), Ok(Ok(true)))
}

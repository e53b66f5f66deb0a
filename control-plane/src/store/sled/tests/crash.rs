//! A process that is killed in the middle of writing loses nothing that it has acknowledged.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis_proto::ids::GrantId;
use portcullis_proto::random::{self, SystemRandom};
use portcullis_proto::revocation::Scope;

use super::open;
use crate::oauth::refresh::Stage;
use crate::store::contract::fixtures::{
    MANY, ROTATION, answer, at, head, is_accepted, is_live, issue, parallel, redeemed, refresh_id,
};
use crate::store::{Rotated, Store};

/// Names the store to the process that is to be killed.
const STORE: &str = "PORTCULLIS_TEST_CRASH_STORE";
const ROUND: &str = "PORTCULLIS_TEST_CRASH_ROUND";
const MARK: &str = "acknowledged ";

/// This test runs itself once more as the process to be killed.
#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    if let Some(path) = env::var_os(STORE) {
        return write_for_ever(path.as_ref(), &env::var(ROUND).unwrap()).await;
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let mut acknowledged = BTreeSet::new();
    for round in 0..4 {
        let after = 1 + usize::from(random::bytes::<1>(&SystemRandom)[0]);
        let lines = kill_after(&path, round, after);
        assert!(lines.len() >= after);
        acknowledged.extend(lines);
        check(&path, &acknowledged).await;
    }
}

/// Lets a process write until it has acknowledged so much, kills it, and returns what it has acknowledged.
fn kill_after(path: &Path, round: usize, acknowledgements: usize) -> Vec<String> {
    let mut writer = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "store::sled::tests::crash::what_was_acknowledged_survives_kill_9"])
        .env(STORE, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let is_whole = |line: &String| line.ends_with('.');
    let mut lines: Vec<_> = said
        .by_ref()
        .filter_map(|line| line.strip_prefix(MARK).map(ToOwned::to_owned))
        .filter(is_whole)
        .take(acknowledgements)
        .collect();
    writer.kill().unwrap(); // SIGKILL
    lines.extend(said.filter_map(|line| line.strip_prefix(MARK).map(ToOwned::to_owned)).filter(is_whole));
    writer.wait().unwrap();
    lines
}

/// Whole lives of grants side by side, each step acknowledged on standard output.
async fn write_for_ever(path: &Path, round: &str) {
    let store = open(path);
    let say = |line: String| writeln!(stdout(), "\n{MARK}{line}.").unwrap();
    parallel(8, async |writer| {
        for number in 0.. {
            let name = format!("{round}-{writer}-{number}");
            redeemed(&store, &name, at(0)).await;
            say(format!("redeemed {name}"));
            let next = format!("{name}-next");
            let issue = issue(&name, &next, Some(&name), at(1));
            let rotated =
                store.rotate(&refresh_id(&name), issue, answer(&next), ROTATION, at(1)).await.unwrap();
            assert_eq!(rotated, Rotated::Issued);
            say(format!("rotated {name}"));
            if number % 2 == 1 {
                store.revoke(Scope::Grant(GrantId::new(name.as_str())), at(1)).await.unwrap();
                say(format!("revoked {name}"));
            }
        }
    })
    .await;
}

/// Finds everything acknowledged, and a log that is whole.
async fn check(path: &Path, acknowledged: &BTreeSet<String>) {
    let store = open(path);
    let mut revoked = 0;
    for line in acknowledged {
        let (step, name) = line.trim_end_matches('.').split_once(' ').unwrap();
        let is_even = name.ends_with(['0', '2', '4', '6', '8']);
        match step {
            "redeemed" => assert!(!is_even || is_accepted(&store, name, at(1)).await, "{line}"),
            "rotated" => {
                let token = store.refresh_token(&refresh_id(name)).await.unwrap().unwrap();
                assert!(matches!(token.stage, Stage::Rotated { .. }), "{line}");
                assert!(!is_even || is_accepted(&store, &format!("{name}-next"), at(1)).await, "{line}");
            }
            "revoked" => {
                assert!(!is_live(&store, name).await, "{line}");
                revoked += 1;
            }
            _ => panic!("{line}"),
        }
    }
    let base = store.base().await.unwrap();
    let entries = store.entries_after(&base, MANY).await.unwrap().unwrap();
    let followed = entries.iter().fold(base, |position, entry| position.after(entry).unwrap());
    assert_eq!(followed, *store.head().borrow());
    assert!(head(&store) >= revoked);
}

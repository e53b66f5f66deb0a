//! The master key is rotated under load, while the control plane is killed and its machine loses power.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../../control-plane/tests/support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use portcullis_control_plane::keys::MasterKeys;
use portcullis_control_plane::store::Store;
use portcullis_control_plane::store::sled::SledStore;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::{Clock, SystemClock};
use portcullis_tests::client::{Client, Tokens};
use portcullis_tests::faults::dice::Dice;
use portcullis_tests::stack::{Part, Stack};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Grants that nobody uses, so that re-wrapping takes a second or two.
const IDLE: u64 = 3_000;
const PATIENCE: Duration = Duration::from_mins(2);

/// A session of a client, as it was acknowledged last.
#[derive(Clone)]
struct Session {
    client: Client,
    tokens: Tokens,
}

/// A client loses an answer for longer than the usual grace where the machine is busy.
fn builder() -> portcullis_tests::stack::Builder {
    Stack::builder().configure(|config, _| config["lifetimes"]["refresh_grace"] = "10min".into())
}

/// How many rows hang on each key, the current one last.
async fn keys(stack: &Stack) -> Vec<(String, u64)> {
    let output = stack.cli(&["keys", "list"]).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        (fields[0].to_owned(), fields[4].parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

/// Waits until everything hangs on the current key; tells how many rows there are.
async fn settled(stack: &Stack) -> u64 {
    let all = async {
        loop {
            let mut keys = keys(stack).await;
            let (_, current) = keys.pop().unwrap();
            if keys.iter().all(|(_, rows)| *rows == 0) {
                return current;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, all).await.unwrap()
}

async fn log_in(client: &Client, user: &str) -> Session {
    Session { client: client.clone(), tokens: client.login(user).await }
}

/// Logs in now and then, and refreshes without end. Every refusal that is no outage is a session that was lost.
async fn work(client: &Client, user: &str, sessions: &RefCell<Vec<Session>>) {
    for turn in 0_usize.. {
        sleep(Duration::from_millis(20)).await;
        if turn.is_multiple_of(10)
            && let Ok((authorization, code)) = client.attempt_authorize(user).await
            && let Ok(tokens) = client.attempt_redeem(&authorization, &code).await
        {
            sessions.borrow_mut().push(Session { client: client.clone(), tokens });
        }
        let (index, refresh_token) = {
            let sessions = sessions.borrow();
            let own: Vec<_> =
                (0..sessions.len()).filter(|i| sessions[*i].client.client_id == client.client_id).collect();
            let index = own[turn % own.len()];
            (index, sessions[index].tokens.refresh_token.clone())
        };
        match client.attempt_refresh(&refresh_token).await {
            Ok(tokens) => sessions.borrow_mut()[index].tokens = tokens,
            Err(failure) => assert!(failure.is_outage(), "a session is lost: {failure}"),
        }
    }
}

/// Every session goes on: its last access token is good, and its refresh token brings another that is.
async fn check(sessions: &mut [Session]) {
    for Session { client, tokens } in sessions {
        let deadline = Instant::now() + PATIENCE;
        let next = loop {
            match client.attempt_refresh(&tokens.refresh_token).await {
                Ok(next) => break next,
                Err(failure) => assert!(failure.is_outage() && Instant::now() < deadline, "{failure}"),
            }
            sleep(Duration::from_millis(50)).await;
        };
        *tokens = next;
        while client.status(&tokens.access_token).await != StatusCode::OK {
            assert!(Instant::now() < deadline, "{} does not get in", client.client_id);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Grants in the store of a control plane that is stopped.
async fn fill(stack: &Stack) {
    let data = stack.directory().join("data");
    let store: Arc<dyn Store> =
        Arc::new(SledStore::open(&data.join("control-plane"), &SystemRandom).unwrap());
    let keys = Arc::new(MasterKeys::open(&data.join("keys"), &SystemRandom, SystemClock.now()).unwrap());
    let log_in = |store: Arc<dyn Store>, keys: Arc<MasterKeys>| async move {
        support::log_in(store.as_ref(), &keys, support::Login::default(), SystemClock.now()).await;
    };
    log_in(store.clone(), keys.clone()).await;
    let mut grants = JoinSet::new();
    for _ in 1..IDLE {
        grants.spawn(log_in(store.clone(), keys.clone()));
    }
    grants.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_a_rotation_under_load_loses_nothing_whenever_the_process_is_killed() {
    let mut stack = builder().start().await;
    let clients = [Client::register(stack.url(), "One").await, Client::register(stack.url(), "Two").await];
    let sessions = RefCell::new(Vec::new());
    for client in &clients {
        for user in ["ada", "grace"] {
            let session = log_in(client, user).await;
            sessions.borrow_mut().push(session);
        }
    }
    stack.stop(Part::ControlPlane).await;
    fill(&stack).await;
    stack.start(Part::ControlPlane).await;
    let before = keys(&stack).await;
    assert_eq!((before.len(), before[0].1), (1, IDLE + 4));

    let mut dice = Dice::new(31);
    let mut interrupted = 0;
    for _ in 0..3 {
        let output = stack.cli(&["keys", "rotate"]).await;
        assert!(output.status.success(), "{output:?}");
        for _ in 0..2 {
            let pause = Duration::from_millis(dice.below(400));
            let kill = async {
                sleep(pause).await;
                stack.signal(Part::ControlPlane, Signal::KILL);
                sleep(Duration::from_millis(50)).await;
            };
            tokio::select! {
                biased;
                () = kill => {}
                () = work(&clients[0], "ada", &sessions) => {}
                () = work(&clients[1], "grace", &sessions) => {}
            }
            stack.kill(Part::ControlPlane).await;
            stack.start(Part::ControlPlane).await;
            let rows: BTreeMap<_, _> = keys(&stack).await.into_iter().collect();
            interrupted += usize::from(rows.values().filter(|rows| **rows > 0).count() > 1);
        }
    }
    assert!(interrupted > 0, "it was never killed in the middle");
    let last = async {
        let acknowledged = sessions.borrow().len();
        let rows = settled(&stack).await;
        sleep(Duration::from_millis(300)).await;
        (rows, acknowledged)
    };
    let (rows, acknowledged) = tokio::select! {
        rows = last => rows,
        () = work(&clients[0], "ada", &sessions) => unreachable!(),
        () = work(&clients[1], "grace", &sessions) => unreachable!(),
    };
    let mut sessions = sessions.into_inner();
    assert!(rows >= IDLE + u64::try_from(acknowledged).unwrap(), "{rows} rows, {acknowledged} sessions");
    check(&mut sessions).await;
    assert_eq!(keys(&stack).await.len(), 4);
}

#[tokio::test]
async fn t31_a_rotation_survives_a_power_cut_at_any_moment() {
    let mut stack = builder().faults().start().await;
    let client = Client::register(stack.url(), "Power cut").await;
    let mut sessions = Vec::new();
    let mut rotated = 0;
    for seed in 0..8 {
        sessions.push(log_in(&client, "ada").await);
        let cut = async {
            sleep(Duration::from_millis(Dice::new(seed).below(60))).await;
            stack.signal(Part::ControlPlane, Signal::KILL);
        };
        let (rotation, ()) = tokio::join!(stack.cli(&["keys", "rotate"]), cut);
        rotated += usize::from(rotation.status.success());
        stack.power_cut(Part::ControlPlane, seed).await;
        stack.start(Part::ControlPlane).await;
        // What was acknowledged is there; what was not may be.
        assert!(keys(&stack).await.len() > rotated, "seed {seed}: a key is lost");
        check(&mut sessions).await;
        settled(&stack).await;
    }
    let output = stack.cli(&["keys", "rotate"]).await;
    assert!(output.status.success(), "{output:?}");
    assert!(settled(&stack).await >= 8);
    check(&mut sessions).await;
}

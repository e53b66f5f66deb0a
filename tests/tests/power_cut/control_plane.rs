//! The control plane, while many clients register, log in, refresh and revoke at once.

use std::cell::RefCell;
use std::time::Duration;

use http::StatusCode;
use portcullis_tests::client::{Browser, Client};
use portcullis_tests::faults::dice::Dice;
use portcullis_tests::stack::{Part, Stack};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

const ROUNDS: u64 = 6;
/// The least that is acknowledged in a round before the power goes, and how much more it can be.
const STEPS: u64 = 30;
/// How long the edge may take to find the control plane again.
const MOMENT: Duration = Duration::from_secs(10);

/// What the control plane has acknowledged.
#[derive(Default)]
struct Acknowledged {
    steps: u64,
    clients: Vec<Client>,
    sessions: Vec<Session>,
}

#[derive(Clone)]
struct Session {
    client: Client,
    access_tokens: Vec<String>,
    refresh_token: String,
    life: Life,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    /// It was asked for, and is not answered: either may be true.
    BeingRevoked,
    Revoked,
}

#[tokio::test]
async fn t31_what_the_control_plane_acknowledged_survives_a_power_cut() {
    let mut stack = Stack::builder().faults().start().await;
    let acknowledged = RefCell::new(Acknowledged::default());
    for seed in 0..ROUNDS {
        let enough = acknowledged.borrow().steps + STEPS + Dice::new(seed).below(STEPS);
        let cut = async {
            while acknowledged.borrow().steps < enough {
                sleep(Duration::from_millis(1)).await;
            }
            // In the middle of it: what is in flight is answered by nobody.
            stack.signal(Part::ControlPlane, Signal::KILL);
        };
        let worker = |name| worker(stack.url(), name, &acknowledged);
        tokio::select! {
            biased;
            () = cut => {}
            _ = async { tokio::join!(worker("a"), worker("b"), worker("c"), worker("d"), worker("e"), worker("f")) } => {}
        }
        stack.power_cut(Part::ControlPlane, seed).await;
        stack.start(Part::ControlPlane).await;
        let mut all = acknowledged.take();
        check_clients(&all.clients, seed).await;
        for session in &mut all.sessions {
            check(session, seed).await;
        }
        acknowledged.replace(all);
    }
    let sessions = acknowledged.into_inner().sessions;
    let revoked = sessions.iter().filter(|session| session.life == Life::Revoked).count();
    assert!(revoked > 3 && sessions.len() > 2 * revoked, "too little load to tell: {revoked}");
}

/// Registers a client, and then logs in, refreshes, and revokes every second time, without end.
async fn worker(url: &str, name: &str, acknowledged: &RefCell<Acknowledged>) {
    let acknowledge = |change: &dyn Fn(&mut Acknowledged)| {
        let mut acknowledged = acknowledged.borrow_mut();
        acknowledged.steps += 1;
        change(&mut acknowledged);
    };
    let client = Client::register(url, name).await;
    acknowledge(&|all| all.clients.push(client.clone()));
    for number in 1.. {
        let tokens = client.login("ada").await;
        let mut session = Session {
            client: client.clone(),
            access_tokens: vec![tokens.access_token],
            refresh_token: tokens.refresh_token,
            life: Life::Alive,
        };
        acknowledge(&|all| all.sessions.push(session.clone()));
        let index = acknowledged.borrow().sessions.len() - 1;
        for _ in 0..2 {
            let tokens = client.refresh(&session.refresh_token).await.tokens();
            session.access_tokens.push(tokens.access_token);
            session.refresh_token = tokens.refresh_token;
            acknowledge(&|all| all.sessions[index] = session.clone());
        }
        if number % 2 == 0 {
            acknowledged.borrow_mut().sessions[index].life = Life::BeingRevoked;
            assert_eq!(client.revoke(&session.refresh_token).await.status, StatusCode::OK);
            acknowledge(&|all| all.sessions[index].life = Life::Revoked);
        }
    }
}

async fn check_clients(clients: &[Client], seed: u64) {
    for client in clients {
        let consent = Browser::new().open(&client.authorization().url).await;
        assert_eq!(consent.status, StatusCode::OK, "seed {seed}: {} is forgotten", client.client_id);
    }
}

async fn check(session: &mut Session, seed: u64) {
    let answer = session.client.refresh(&session.refresh_token).await;
    match (session.life, answer.status) {
        (Life::Alive | Life::BeingRevoked, StatusCode::OK) => {
            session.life = Life::Alive;
            session.refresh_token = answer.tokens().refresh_token;
        }
        (Life::Revoked | Life::BeingRevoked, StatusCode::BAD_REQUEST) => {
            session.life = Life::Revoked;
            for token in &session.access_tokens {
                assert_eq!(decided(&session.client, token).await, StatusCode::UNAUTHORIZED, "seed {seed}");
            }
        }
        _ => panic!("seed {seed}: {} {}", answer.status, answer.body),
    }
}

/// What the edge decides, once authz has found the control plane again.
async fn decided(client: &Client, access_token: &str) -> StatusCode {
    let deadline = Instant::now() + MOMENT;
    loop {
        let status = client.status(access_token).await;
        if status != StatusCode::SERVICE_UNAVAILABLE || Instant::now() > deadline {
            return status;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

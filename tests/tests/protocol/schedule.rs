//! Seeded schedules of logins, requests, revocations, faults and kills; and what must hold all the while.

mod checks;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, thread};

use portcullis_proto::ids::{ClientId, ProviderName, Sequence, ServerName, Subject};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Presented};
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Code;

use crate::dice::Dice;
use crate::edge::{MAX_STALENESS, status};
use crate::fleet::{Fleet, STEP};
use crate::support::{LoggedIn, Login};
use crate::wire::{Flow, Line};

/// How many seeds there are, where it is not the default.
const SEEDS: &str = "PORTCULLIS_TEST_SEEDS";
const DEFAULT_SEEDS: u64 = 20;

const INSTANCES: usize = 5;
const ACTIONS: usize = 24;
/// From the end of any fault until an instance is current again, at most: a connection that is as good as gone is
/// given up after 5 s, the next attempt comes within 5 s, and may have to wait for a step or two.
pub(crate) const RECOVERY: Duration = Duration::from_secs(11);

const CLIENTS: [&str; 3] = ["editor", "terminal", "assistant"];
const SUBJECTS: [&str; 3] = ["alice", "bob", "carol"];
const SERVERS: [&str; 2] = ["docs", "tickets"];

/// A token, and what is true of it.
struct Issued {
    login: LoggedIn,
    client: &'static str,
    subject: &'static str,
    server: &'static str,
    /// The entry that revoked it.
    dead: Option<Sequence>,
}

/// A request that goes on while other things happen: its status, and what was in force when it was decided.
struct Request {
    token: usize,
    task: JoinHandle<(i32, Sequence)>,
}

struct Story {
    seed: u64,
    dice: Dice,
    fleet: Fleet,
    issued: Vec<Issued>,
    requests: Vec<Request>,
    /// When each instance's line, or the instance, was last changed.
    changed: Vec<Instant>,
    /// The last entry that each instance was counted for in a revocation's answer.
    counted: Vec<Sequence>,
    /// How often what happened.
    tally: BTreeMap<&'static str, usize>,
}

#[test]
fn t32_whatever_the_network_does_a_revocation_is_effective_where_it_is_said_to_be() {
    let seeds = env::var(SEEDS).map_or(DEFAULT_SEEDS, |seeds| seeds.parse().unwrap());
    let next = AtomicU64::new(0);
    let tell_some = || {
        let mut tally = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return tally;
            }
            let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            tally.extend(runtime.block_on(tell(seed)));
        }
    };
    let mut tally = BTreeMap::<_, usize>::new();
    thread::scope(|scope| {
        let tellers = [scope.spawn(tell_some), scope.spawn(tell_some)];
        for (what, count) in tellers.into_iter().flat_map(|teller| teller.join().unwrap()) {
            *tally.entry(what).or_default() += count;
        }
    });
    // None of this is so rare that it does not happen.
    for what in ["effective everywhere", "lagging", "refused", "permitted", "outage", "asked", "killed"] {
        assert!(tally.get(what).is_some_and(|count| *count > 0), "{what}: {tally:?}");
    }
}

async fn tell(seed: u64) -> BTreeMap<&'static str, usize> {
    let dice = Dice::new(seed);
    let fleet = Fleet::start(INSTANCES, seed).await;
    let changed = vec![Instant::now(); INSTANCES];
    let counted = vec![Sequence(0); INSTANCES];
    let (issued, requests, tally) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut story = Story { seed, dice, fleet, issued, requests, changed, counted, tally };
    story.run(RECOVERY).await;
    for _ in 0..ACTIONS {
        story.act().await;
    }
    story.finish().await;
    story.tally
}

// === impl Story ===

impl Story {
    async fn act(&mut self) {
        let edge = self.dice.roll(INSTANCES);
        match self.dice.roll(16) {
            0..=3 => self.log_in().await,
            4..=7 => self.request(edge),
            8..=10 => self.revoke().await,
            11 => self.change(edge, Line::Good),
            12 => self.change(edge, Line::Cut),
            13 => self.change(edge, Line::Poor { up: self.flow(), down: self.flow() }),
            14 => {
                *self.tally.entry("killed").or_default() += 1;
                self.fleet.edges[edge].kill().await;
                self.changed[edge] = Instant::now();
            }
            _ => {
                let time = self.dice.duration(Duration::ZERO, MAX_STALENESS * 2);
                self.run(time).await;
            }
        }
        let time = self.dice.duration(Duration::ZERO, Duration::from_secs(2));
        self.run(time).await;
    }

    fn flow(&self) -> Flow {
        match self.dice.roll(4) {
            0 => Flow::Open,
            1 => Flow::Slow(self.dice.duration(STEP, STEP * 10)),
            _ => Flow::Stalled,
        }
    }

    fn change(&mut self, edge: usize, line: Line) {
        if self.fleet.edges[edge].wire.line() != line {
            self.fleet.edges[edge].wire.set(line);
            self.changed[edge] = Instant::now();
        }
    }

    async fn log_in(&mut self) {
        let [client, subject] = [CLIENTS, SUBJECTS].map(|names| names[self.dice.roll(names.len())]);
        let server = SERVERS[self.dice.roll(SERVERS.len())];
        let login = Login { client, subject, server, credential_expires_at: None };
        let login = self.fleet.plane.log_in(login).await;
        self.issued.push(Issued { login, client, subject, server, dead: None });
        for edge in 0..INSTANCES {
            self.request_with(edge, self.issued.len() - 1);
        }
    }

    fn request(&mut self, edge: usize) {
        if !self.issued.is_empty() {
            let token = self.dice.roll(self.issued.len());
            self.request_with(edge, token);
        }
    }

    fn request_with(&mut self, edge: usize, token: usize) {
        let (server, text) = (self.issued[token].server, self.issued[token].login.token.clone());
        let (checker, replica) =
            (self.fleet.edges[edge].checker.clone(), self.fleet.edges[edge].replica.clone());
        let task = tokio::spawn(async move {
            let status = status(&checker, server, &text).await;
            (status, replica.figures(Timestamp::default()).applied)
        });
        self.requests.push(Request { token, task });
    }

    async fn revoke(&mut self) {
        let Some(one) = (!self.issued.is_empty()).then(|| &self.issued[self.dice.roll(self.issued.len())])
        else {
            return;
        };
        let id = Presented::<Access>::parse(&one.login.token).unwrap().id();
        let scope = match self.dice.roll(12) {
            0..=2 => Scope::Token(id),
            3..=5 => Scope::Grant(one.login.grant.clone()),
            6..=7 => Scope::Client(ClientId::new(one.client)),
            8..=9 => Scope::Subject(ProviderName::new("corp"), Subject::new(one.subject)),
            10 => Scope::Server(ServerName::new(one.server)),
            _ => Scope::Everything,
        };
        let (before, head) = (self.fleet.plane.connected(), self.fleet.plane.head());
        let wait = self.dice.duration(Duration::from_millis(1), Duration::from_secs(3));
        let revocation = self.fleet.revoke(scope.clone().into(), wait).await;
        if self.fleet.plane.head() == head {
            let refused = revocation.await.unwrap().unwrap_err();
            assert_eq!(refused.code(), Code::NotFound, "it was revoked before: {refused}");
            return;
        }
        let sequence = self.fleet.plane.head();
        self.bury(&scope, sequence);
        // No time has passed: whoever is well has it, whatever the others do.
        for edge in self.well() {
            assert_eq!(self.fleet.edges[edge].applied(), sequence, "{}", self.at(edge));
        }
        let answer = self.fleet.outcome(revocation).await.unwrap();
        assert_eq!(answer.sequence, sequence.0);
        assert_eq!(answer.instances as usize, answer.applied as usize + answer.lagging.len());
        assert!(answer.instances as usize >= before.len());
        let what = if answer.lagging.is_empty() { "effective everywhere" } else { "lagging" };
        *self.tally.entry(what).or_default() += 1;
        for edge in 0..INSTANCES {
            let name = &self.fleet.edges[edge].name;
            let is_lagging = answer.lagging.contains(name);
            assert!(!is_lagging || !self.well().contains(&edge), "{} is said to lag", self.at(edge));
            if !is_lagging && before.contains(name) {
                // It was counted: that must be so, and stay so.
                self.counted[edge] = sequence;
                assert!(self.fleet.edges[edge].on_disk() >= sequence, "{}", self.at(edge));
            }
        }
        self.check();
    }

    fn bury(&mut self, scope: &Scope, sequence: Sequence) {
        for one in &mut self.issued {
            let is_hit = match scope {
                Scope::Token(id) => *id == Presented::<Access>::parse(&one.login.token).unwrap().id(),
                Scope::Grant(grant) => *grant == one.login.grant,
                Scope::Client(client) => client.as_str() == one.client,
                Scope::Subject(_, subject) => subject.as_str() == one.subject,
                Scope::Server(server) => server.as_str() == one.server,
                Scope::Everything => true,
            };
            if is_hit {
                one.dead.get_or_insert(sequence);
            }
        }
    }
}

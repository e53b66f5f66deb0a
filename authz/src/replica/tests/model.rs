//! Random schedules against a plain model: a control plane whose state is a log and a set of tokens, and the
//! entries that the instance has followed. After every step, no request may be told what the model excludes.

use std::collections::{BTreeSet, HashMap};

use portcullis_proto::ids::{ClientId, GrantId, ServerName, Subject};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::instance::{Instance, Log, Verdict};
use super::*;
use crate::testing::record;

const CASES: u32 = 128;
/// How long a token lives, in seconds.
const LIFETIME: u64 = 3_600;
const MAX_STALENESS: Duration = Duration::from_mins(1);

/// What happens next. A number picks one of what there is so far.
#[derive(Clone, Debug)]
enum Op {
    Issue {
        owner: u8,
    },
    Revoke {
        kind: u8,
        of: usize,
    },
    /// The control plane reads the rows of a token for an answer.
    Ask {
        of: usize,
    },
    /// The same, and the answer arrives at once.
    Learn {
        of: usize,
    },
    /// One of the answers under way arrives.
    Answer {
        which: usize,
    },
    /// Some entries arrive, and then perhaps a heartbeat.
    Deliver {
        limit: usize,
        heartbeat: bool,
    },
    Cut,
    Reconnect,
    Restart,
    Crash,
    /// The instance sweeps; its clock is so many seconds ahead.
    Sweep {
        ahead: u64,
    },
    Wait {
        seconds: u64,
    },
    /// The control plane forgets entries that can hit nothing any more.
    Forget,
    Backup,
    /// The control plane goes back to its backup.
    Restore,
    /// The control plane begins with an empty store.
    NewEpoch,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let one = || 0..1_000_usize;
    let op = prop_oneof![
        6 => (0..3_u8).prop_map(|owner| Op::Issue { owner }),
        5 => (0..6_u8, one()).prop_map(|(kind, of)| Op::Revoke { kind, of }),
        4 => one().prop_map(|of| Op::Ask { of }),
        8 => one().prop_map(|of| Op::Learn { of }),
        4 => one().prop_map(|which| Op::Answer { which }),
        8 => (0..4_usize, any::<bool>()).prop_map(|(limit, heartbeat)| Op::Deliver { limit, heartbeat }),
        1 => Just(Op::Cut),
        4 => Just(Op::Reconnect),
        1 => Just(Op::Restart),
        1 => Just(Op::Crash),
        2 => prop_oneof![Just(0), 0..2 * LIFETIME].prop_map(|ahead| Op::Sweep { ahead }),
        3 => prop_oneof![0..20_u64, 0..LIFETIME / 2].prop_map(|seconds| Op::Wait { seconds }),
        1 => Just(Op::Forget),
        1 => Just(Op::Backup),
        1 => Just(Op::Restore),
        2 => Just(Op::NewEpoch),
    ];
    prop::collection::vec(op, 1..60)
}

/// What the control plane has.
#[derive(Clone)]
struct Plane {
    log: Log,
    /// The tokens that are there and not revoked.
    alive: BTreeSet<usize>,
    /// The tokens that are or were there.
    issued: BTreeSet<usize>,
}

/// A question whose answer is under way: what was there when it was read.
struct Flight {
    of: usize,
    generation: Generation,
    found: bool,
}

struct World {
    instance: Instance,
    plane: Plane,
    backup: Plane,
    /// How many logs there have been.
    epochs: u64,
    /// Every token that was ever issued, by any control plane.
    tokens: Vec<TokenRecord>,
    flights: Vec<Flight>,
    connected: bool,
    /// The entries that the instance has taken in, in each generation.
    followed: HashMap<Generation, Vec<Entry>>,
    /// Revoked, and the instance knew: nothing but a restored control plane may bring these back.
    buried: BTreeSet<usize>,
    /// What the last heartbeat announced on this stream, and when.
    announced: Option<(Sequence, Instant)>,
    /// When nothing was missing, as far as this process of the instance can know.
    current_at: Option<Instant>,
    seconds: u64,
}

#[test]
fn t32_no_random_schedule_tells_a_request_what_the_log_excludes() {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&ops(), |ops| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.unwrap().block_on(run(ops));
            Ok(())
        })
        .unwrap();
}

async fn run(ops: Vec<Op>) {
    let mut world = World::new();
    world.reconnect().await;
    for op in ops {
        world = world.apply(&op).await;
        world.check(&op);
    }
    world.finish().await;
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn hits(entry: &Entry, record: &TokenRecord) -> bool {
    match &entry.scope {
        Scope::Token(id) => *id == record.token,
        Scope::Grant(id) => *id == record.grant,
        scope => Scope::hitting(record).contains(scope) && record.born < entry.sequence,
    }
}

/// One of so many, every other time one of the last three.
fn pick(draw: usize, of: usize) -> Option<usize> {
    match of {
        0 => None,
        _ if draw.is_multiple_of(2) => Some(of - 1 - draw / 2 % of.min(3)),
        _ => Some(draw / 2 % of),
    }
}

// === impl Plane ===

impl Plane {
    fn new(epoch: u64) -> Self {
        Self { log: Log::new(epoch), alive: BTreeSet::new(), issued: BTreeSet::new() }
    }
}

// === impl World ===

impl World {
    fn new() -> Self {
        Self {
            instance: Instance::new(),
            plane: Plane::new(1),
            backup: Plane::new(1),
            epochs: 1,
            tokens: Vec::new(),
            flights: Vec::new(),
            connected: false,
            followed: HashMap::new(),
            buried: BTreeSet::new(),
            announced: None,
            current_at: None,
            seconds: 0,
        }
    }

    fn now(&self) -> Timestamp {
        at(self.seconds)
    }

    async fn apply(mut self, op: &Op) -> Self {
        match *op {
            Op::Issue { owner } => self.issue(owner),
            Op::Revoke { kind, of } => self.revoke(kind, of),
            Op::Ask { of } => {
                if let Some(of) = pick(of, self.tokens.len()) {
                    self.ask(of);
                }
            }
            Op::Learn { of } => {
                if let Some(of) = pick(of, self.tokens.len()) {
                    self.ask(of);
                    self.answer(self.flights.len() - 1);
                }
            }
            Op::Answer { which } => {
                if let Some(which) = pick(which, self.flights.len()) {
                    self.answer(which);
                }
            }
            Op::Deliver { limit, heartbeat } => self.deliver(limit, heartbeat).await,
            Op::Cut => self.connected = false,
            Op::Reconnect => self.reconnect().await,
            Op::Restart => {
                self.instance = self.instance.restart().await;
                self.restarted();
            }
            Op::Crash => {
                let acknowledged = *self.instance.replica.store().durable().borrow();
                self.instance = self.instance.crash();
                self.restarted();
                if let Some((generation, sequence)) = acknowledged {
                    let replica = &self.instance.replica;
                    let position = replica.position().map(|position| position.sequence);
                    assert!(replica.generation() != generation || position >= Some(sequence), "{position:?}");
                }
            }
            Op::Sweep { ahead } => self.instance.sweep(at(self.seconds + ahead)).await,
            Op::Wait { seconds } => {
                self.seconds += seconds;
                tokio::time::advance(Duration::from_secs(seconds)).await;
            }
            Op::Forget => {
                let now = self.now();
                self.plane.log.forget(now);
            }
            Op::Backup => self.backup = self.plane.clone(),
            Op::Restore => {
                self.plane = self.backup.clone();
                self.buried.retain(|token| !self.plane.alive.contains(token));
                self.connected = false;
            }
            Op::NewEpoch => {
                self.epochs += 1;
                self.plane = Plane::new(self.epochs);
                self.backup = self.plane.clone();
                self.connected = false;
            }
        }
        self
    }

    fn issue(&mut self, owner: u8) {
        let number = self.tokens.len();
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        // Every other token is of the same grant as the one before, where that lives.
        let previous = number.checked_sub(1).filter(|one| one % 2 == 0 && self.plane.alive.contains(one));
        self.plane.alive.insert(number);
        self.plane.issued.insert(number);
        self.tokens.push(TokenRecord {
            token: TokenId::from_slice(&id).unwrap(),
            grant: GrantId::new(format!("grant {}", previous.unwrap_or(number))),
            client: ClientId::new(format!("client {owner}")),
            subject: Subject::new(format!("subject {}", (owner + 1) % 3)),
            server: ServerName::new(format!("server {}", owner % 2)),
            born: self.plane.log.head().sequence,
            issued_at: self.now(),
            expires_at: at(self.seconds + LIFETIME),
            ..record()
        });
    }

    fn revoke(&mut self, kind: u8, of: usize) {
        let Some(of) = pick(of, self.tokens.len()) else { return };
        let scope = Scope::hitting(&self.tokens[of])[usize::from(kind)].clone();
        let expiry = |token: &usize| self.tokens[*token].expires_at;
        let forget_at = self.plane.issued.iter().map(expiry).max().unwrap_or_default().max(self.now());
        let entry = self.plane.log.append(scope, self.now(), forget_at);
        self.plane.alive.retain(|token| !hits(&entry, &self.tokens[*token]));
    }

    fn ask(&mut self, of: usize) {
        let found = self.plane.alive.contains(&of) && self.now() < self.tokens[of].expires_at;
        self.flights.push(Flight { of, generation: self.instance.replica.generation(), found });
    }

    fn answer(&mut self, which: usize) {
        let Flight { of, generation, found } = self.flights.remove(which);
        if found {
            self.instance.replica.learn(generation, self.tokens[of].clone());
        }
    }

    async fn deliver(&mut self, limit: usize, heartbeat: bool) {
        let Some(position) = self.instance.replica.position().filter(|_| self.connected) else { return };
        if !self.plane.log.has(position) {
            self.connected = false; // what it needs next has been forgotten
            return;
        }
        let entries: Vec<_> = self.plane.log.after(position).take(limit).collect();
        self.instance.deliver(&self.plane.log, limit).await;
        self.bury(&entries);
        self.followed.entry(self.instance.replica.generation()).or_default().extend(entries);
        let position = self.instance.replica.position().unwrap().sequence;
        if let Some((_, at)) = self.announced.take_if(|(head, _)| *head <= position) {
            self.current_at = Some(at);
        }
        if heartbeat {
            let head = self.plane.log.head().sequence;
            self.instance.heartbeat(head);
            if head <= position {
                self.current_at = Some(Instant::now());
                self.announced = None;
            } else {
                self.announced.get_or_insert((head, Instant::now()));
            }
        }
    }

    fn bury(&mut self, entries: &[Entry]) {
        let is_hit = |token: &usize| entries.iter().any(|entry| hits(entry, &self.tokens[*token]));
        let buried: Vec<_> = self.plane.issued.iter().copied().filter(is_hit).collect();
        self.buried.extend(buried);
    }

    async fn reconnect(&mut self) {
        self.announced = None;
        self.connected = true;
        let generation = self.instance.replica.generation();
        self.instance.reconnect(&self.plane.log).await;
        if self.instance.replica.generation() != generation {
            self.buried.extend(self.plane.issued.difference(&self.plane.alive));
        }
    }

    /// What was in memory only is gone.
    fn restarted(&mut self) {
        let replica = &self.instance.replica;
        let position = replica.position().map(|position| position.sequence);
        let followed = self.followed.entry(replica.generation()).or_default();
        followed.retain(|entry| Some(entry.sequence) <= position);
        self.flights.clear();
        self.connected = false;
        self.announced = None;
        self.current_at = None;
    }

    fn check(&self, op: &Op) {
        let replica = &self.instance.replica;
        let is_current = self.current_at.is_some_and(|at| at.elapsed() <= MAX_STALENESS);
        assert_eq!(replica.ready(), is_current, "{op:?}");
        let none = Vec::new();
        let followed = self.followed.get(&replica.generation()).unwrap_or(&none);
        for (number, record) in self.tokens.iter().enumerate() {
            let verdict = self.instance.ask(record, self.now());
            let is_hit = followed.iter().any(|entry| hits(entry, record));
            let after = format!("token {number} after {op:?}");
            match verdict {
                Verdict::Permitted => {
                    assert!(!is_hit && self.now() < record.expires_at, "{after}");
                    assert!(!is_current || !self.buried.contains(&number), "{after}");
                }
                Verdict::Refused("revoked") => assert!(is_hit, "{after}"),
                Verdict::Refused("expired") => assert!(record.expires_at <= self.now(), "{after}"),
                Verdict::Absent | Verdict::Refused("clock_went_back") => {}
                Verdict::Refused(reason) => panic!("{reason}: {after}"),
            }
        }
    }

    /// Once it has caught up, the instance permits exactly what the control plane has.
    async fn finish(mut self) {
        self = self.apply(&Op::Restart).await; // with a clock that was always right
        self.reconnect().await;
        self.deliver(usize::MAX, true).await;
        assert!(self.instance.replica.ready());
        for number in self.plane.issued.clone() {
            if self.instance.ask(&self.tokens[number], self.now()) == Verdict::Absent {
                self.ask(number);
                self.answer(self.flights.len() - 1);
            }
            let is_alive = self.plane.alive.contains(&number) && self.now() < self.tokens[number].expires_at;
            let verdict = self.instance.ask(&self.tokens[number], self.now());
            assert_eq!(verdict == Verdict::Permitted, is_alive, "token {number}: {verdict:?}");
        }
    }
}

//! Random schedules against a plain model: a control plane whose state is a log and a set of tokens, and the
//! entries that the instance has followed. After every step, no request may be told what the model excludes.

mod world;

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::sweep::Pass;
use super::instance::{Instance, Log};
use super::*;

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
    /// The instance sweeps from the beginning to the end; its clock is so many seconds ahead.
    Sweep {
        ahead: u64,
    },
    /// The same, but it only begins.
    BeginSweep {
        ahead: u64,
    },
    /// It takes its next step.
    StepSweep,
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
    let ahead = || prop_oneof![Just(0), 0..2 * LIFETIME];
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
        2 => ahead().prop_map(|ahead| Op::Sweep { ahead }),
        1 => ahead().prop_map(|ahead| Op::BeginSweep { ahead }),
        3 => Just(Op::StepSweep),
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
    /// Until when a token may live of which it knows nothing.
    access_until: Timestamp,
}

/// A question whose answer is under way: what was there when it was read.
struct Flight {
    of: usize,
    asked: Asked,
    found: bool,
}

struct World {
    instance: Instance,
    plane: Plane,
    backup: Plane,
    /// How many logs there have been.
    epochs: u64,
    /// How many processes have worked with one.
    starts: u64,
    /// Every token that was ever issued, by any control plane.
    tokens: Vec<TokenRecord>,
    flights: Vec<Flight>,
    /// The instance's sweep that is under way.
    pass: Option<Pass>,
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
        let access_until = Timestamp::default();
        Self { log: Log::new(epoch), alive: BTreeSet::new(), issued: BTreeSet::new(), access_until }
    }
}

//! One token, one revocation, and everything else that can happen to an instance: in every order.
//!
//! | event | is |
//! |---|---|
//! | ask | the control plane reads the token's rows for the instance's question |
//! | learn | the answer arrives: what was there when it was read |
//! | [`Event::Revoke`] | the revocation is durable at the control plane: who reads from now on finds no token |
//! | [`Event::Deliver`] | the instance takes in its entry |
//! | [`Event::Reconnect`] | the stream begins anew at the durable position |
//! | [`Event::StartOver`] | the stream begins anew in another log; an earlier revocation is not in it |
//! | [`Event::Restart`] | the instance comes back with what it has on disk |
//! | [`Event::Sweep`] | the instance removes what is dead |
//!
//! The last six concern the instance as a whole and are put in each of their 360 orders. One instance goes
//! through an order with 28 tokens of each kind: one for each way to place `ask` and `learn` among the six. Each
//! has a twin that is issued right after the revocation and must not be hit.

use portcullis_proto::ids::{ClientId, GrantId, ServerName, Subject};

use super::instance::{Instance, Log, Verdict};
use super::*;
use crate::testing::record;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Revoke,
    Deliver,
    Reconnect,
    StartOver,
    Restart,
    Sweep,
}

const EVENTS: [Event; 6] =
    [Event::Revoke, Event::Deliver, Event::Reconnect, Event::StartOver, Event::Restart, Event::Sweep];
/// Of eight events, two pairs of which are in their natural order: 8! / 2 / 2.
const ORDERS: usize = 10_080;

const NOW: Timestamp = Timestamp::from_millis(10_000);
const EXPIRY: Timestamp = Timestamp::from_millis(3_601_000);

/// What the instance takes the time for when it sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SweepAt {
    /// What it is.
    Now,
    /// Every token's end, because its clock jumps ahead, and back again afterwards.
    Expiry,
}

/// Two tokens, and before which events they are asked about and learned.
struct Placement {
    kind: Kind,
    asked: usize,
    learned: usize,
    old: Token,
    twin: Token,
}

struct Token {
    record: TokenRecord,
    /// In which generation it was asked about, and whether there was such a token.
    question: Option<(Generation, bool)>,
    learned: bool,
    /// What a request holds that goes on all the while.
    held: Option<Arc<Known>>,
}

/// The instance, and what is true.
struct World {
    instance: Instance,
    log: Log,
    revoked: bool,
    /// The entry has been taken in since the instance last started over.
    in_force: bool,
    /// The entry has been taken in, or the instance has started over behind it: nothing may pass any more.
    dead: bool,
    sweep_at: SweepAt,
}

/// How often the instance said what.
#[derive(Debug, Default)]
struct Seen {
    absent: usize,
    permitted: usize,
    revoked: usize,
    started_over: usize,
    clock_went_back: usize,
}

/// What is revoked. Tokens of one kind have nothing in common with those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Token,
    Grant,
    Client,
    Subject,
    Server,
    Everything,
}

#[tokio::test]
async fn t32_no_order_of_events_resurrects_a_revoked_token() {
    let kinds = [Kind::Token, Kind::Grant, Kind::Client, Kind::Subject, Kind::Server];
    let seen = run(SweepAt::Now, &kinds).await;
    assert!(seen.permitted > 0 && seen.absent > 0 && seen.revoked > 0 && seen.started_over > 0, "{seen:?}");
}

#[tokio::test]
async fn t32_no_order_of_events_resurrects_a_token_once_everything_is_revoked() {
    let seen = run(SweepAt::Now, &[Kind::Everything]).await;
    assert!(seen.permitted > 0 && seen.absent > 0 && seen.revoked > 0 && seen.started_over > 0, "{seen:?}");
}

#[tokio::test]
async fn t34_no_order_of_events_resurrects_a_token_when_the_clock_jumps_ahead_and_back() {
    let seen = run(SweepAt::Expiry, &[Kind::Grant]).await;
    assert!(seen.permitted > 0 && seen.revoked > 0 && seen.clock_went_back > 0, "{seen:?}");
}

async fn run(sweep_at: SweepAt, kinds: &[Kind]) -> Seen {
    let mut seen = Seen::default();
    let mut count = 0;
    let mut instance = Instance::new();
    for (number, order) in orders().into_iter().enumerate() {
        if number % 16 == 15 {
            instance = Instance::new(); // the longer a store has been used, the longer it takes to open
        }
        let mut placements: Vec<_> = kinds.iter().flat_map(|kind| placements(*kind)).collect();
        count += placements.len();
        let scopes: Vec<_> = placements.iter().filter_map(Placement::scope).collect();
        let log = Log::new(u64::try_from(2 * number).unwrap());
        instance.start_over(log.base).await;
        let (revoked, in_force, dead) = (false, false, false);
        let mut world = World { instance, log, revoked, in_force, dead, sweep_at };
        for (step, event) in order.iter().map(Some).chain([None]).enumerate() {
            for placement in &mut placements {
                placement.pass(step, &world);
                if event == Some(&Event::Restart) {
                    placement.restart();
                }
            }
            if let Some(event) = event {
                world = world.pass(*event, &scopes).await;
            }
            for placement in &placements {
                world.check(placement, &mut seen, &|| format!("{event:?} in {order:?}"));
            }
        }
        assert!(world.dead, "{order:?}");
        instance = world.instance;
    }
    assert_eq!(count, ORDERS * kinds.len());
    seen
}

/// Every order of the six events in which nothing is delivered before it is revoked.
fn orders() -> Vec<Vec<Event>> {
    let mut orders = vec![Vec::new()];
    for _ in EVENTS {
        let longer = |order: &Vec<Event>| {
            let order = order.clone();
            let may_follow = |event: &Event| {
                !order.contains(event) && (*event != Event::Deliver || order.contains(&Event::Revoke))
            };
            EVENTS.into_iter().filter(may_follow).map(|event| [&order[..], &[event]].concat()).collect()
        };
        orders = orders.iter().flat_map(|order| -> Vec<_> { longer(order) }).collect();
    }
    orders
}

/// Every way to place two events, in their order, among the six.
fn placements(kind: Kind) -> Vec<Placement> {
    let steps = 0..=EVENTS.len();
    let pairs = steps.clone().flat_map(|asked| steps.clone().map(move |learned| (asked, learned)));
    let placement = |(number, (asked, learned)): (usize, (usize, usize))| {
        let number = u8::try_from(number).unwrap();
        let (old, twin) = (Token::new(kind, number, "old"), Token::new(kind, number, "twin"));
        Placement { kind, asked, learned, old, twin }
    };
    pairs.filter(|(asked, learned)| asked <= learned).enumerate().map(placement).collect()
}

// === impl Token ===

impl Token {
    fn new(kind: Kind, number: u8, name: &str) -> Self {
        let mut id = [kind as u8; 32];
        id[..2].copy_from_slice(&[number, name.as_bytes()[0]]);
        let record = TokenRecord {
            token: TokenId::from_slice(&id).unwrap(),
            grant: GrantId::new(format!("{kind:?} {name}")),
            client: ClientId::new(format!("{kind:?}")),
            subject: Subject::new(format!("{kind:?}")),
            server: ServerName::new(format!("{kind:?}")),
            born: Sequence(0),
            expires_at: EXPIRY,
            ..record()
        };
        Self { record, question: None, learned: false, held: None }
    }

    fn learn(&mut self, replica: &Replica) {
        if let Some((generation, true)) = self.question {
            self.held = Some(replica.learn(generation, self.record.clone()));
            self.learned = true;
        }
    }

    fn restart(&mut self) {
        self.held = None;
        if !self.learned {
            self.question = None;
        }
    }

    /// What the instance must say, if it does not sweep too much.
    fn expected(&self, world: &World, is_hit: bool) -> Verdict {
        let generation = world.instance.replica.generation();
        match self.question {
            Some((of, _)) if self.learned && of == generation && is_hit => Verdict::Refused("revoked"),
            Some((of, _)) if self.learned && of == generation => Verdict::Permitted,
            _ => Verdict::Absent,
        }
    }
}

// === impl Placement ===

impl Placement {
    /// What must be revoked for the old token to be: once for all of a kind, except where it is the token itself.
    fn scope(&self) -> Option<Scope> {
        let record = &self.old.record;
        let scope = match self.kind {
            Kind::Token => return Some(Scope::Token(record.token)),
            Kind::Grant => Scope::Grant(record.grant.clone()),
            Kind::Client => Scope::Client(record.client.clone()),
            Kind::Subject => Scope::Subject(record.provider.clone(), record.subject.clone()),
            Kind::Server => Scope::Server(record.server.clone()),
            Kind::Everything => Scope::Everything,
        };
        Some(scope).filter(|_| (self.asked, self.learned) == (0, 0))
    }

    /// What comes before the event at `step`.
    fn pass(&mut self, step: usize, world: &World) {
        let replica = &world.instance.replica;
        if step == self.asked {
            self.old.question = Some((replica.generation(), !world.revoked));
            self.twin.record.born = world.log.head().sequence;
            self.twin.question = Some((replica.generation(), world.revoked));
        }
        if step == self.learned {
            self.old.learn(replica);
            self.twin.learn(replica);
        }
    }

    /// What was under way ends with the process.
    fn restart(&mut self) {
        self.old.restart();
        self.twin.restart();
    }
}

// === impl World ===

impl World {
    async fn pass(mut self, event: Event, scopes: &[Scope]) -> Self {
        match event {
            Event::Revoke => {
                for scope in scopes {
                    self.log.append(scope.clone(), NOW, EXPIRY);
                }
                self.revoked = true;
            }
            Event::Deliver => {
                self.instance.deliver(&self.log, scopes.len()).await;
                self.in_force = self.instance.replica.position() == Some(self.log.head());
                self.in_force &= self.log.head() != self.log.base;
                self.dead = true;
            }
            Event::Reconnect => self.instance.reconnect(&self.log).await,
            Event::StartOver => {
                self.log = self.log.next();
                self.instance.reconnect(&self.log).await;
                self.in_force = false;
                self.dead |= self.revoked;
            }
            Event::Restart => self.instance = self.instance.restart().await,
            Event::Sweep => {
                self.instance.sweep(if self.sweep_at == SweepAt::Now { NOW } else { EXPIRY }).await;
            }
        }
        self
    }

    fn check(
        &self,
        Placement { kind, asked, learned, old, twin }: &Placement,
        seen: &mut Seen,
        after: &dyn Fn() -> String,
    ) {
        let after = || format!("{kind:?}, asked before {asked}, learned before {learned}, after {}", after());
        for token in [old, twin] {
            let is_old = token.record.token == old.record.token;
            let verdict = self.instance.ask(&token.record, NOW);
            let held = token.held.as_ref().map(|held| self.instance.judge(held, NOW));
            for verdict in [Some(verdict), held].into_iter().flatten() {
                seen.count(verdict);
                if is_old {
                    assert!(verdict != Verdict::Permitted || !self.dead, "{}", after());
                } else {
                    assert_ne!(verdict, Verdict::Refused("revoked"), "the twin of {}", after());
                }
            }
            if self.sweep_at == SweepAt::Now {
                assert_eq!(verdict, token.expected(self, is_old && self.in_force), "{is_old} {}", after());
            }
        }
    }
}

// === impl Seen ===

impl Seen {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Absent => self.absent += 1,
            Verdict::Permitted => self.permitted += 1,
            Verdict::Refused("revoked") => self.revoked += 1,
            Verdict::Refused("started_over") => self.started_over += 1,
            Verdict::Refused("clock_went_back") => self.clock_went_back += 1,
            Verdict::Refused(reason) => panic!("{reason}"),
        }
    }
}

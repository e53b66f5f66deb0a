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

mod world;

use super::instance::{Instance, Log, Verdict};
use super::*;

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
    /// When it was asked about, and whether there was such a token.
    question: Option<(Asked, bool)>,
    learned: bool,
    /// Learned, and in memory only: it was born after the instance's position.
    fleeting: bool,
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
                match event {
                    Some(Event::Restart) => placement.restart(),
                    Some(Event::Sweep | Event::Reconnect | Event::StartOver) => placement.swept(),
                    _ => {}
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

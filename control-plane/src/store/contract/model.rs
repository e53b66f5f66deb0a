//! Random operations against a store and a plain model of it side by side: every answer must be the same, and
//! so must everything that can be seen afterwards.

mod elsewhere;
mod leases;
mod memory;
mod people;
mod provider_clients;
mod users;

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, ServerName, Subject};
use portcullis_proto::revocation::Scope;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::leases::Ending;
use self::memory::Memory;
use self::users::Deed;
use super::fixtures::{
    GRACE, MANY, ROTATION, access_id, answer, at, client, code, grant, issue, pending, refresh_id, token_id,
};
use crate::oauth::pending::{BrowserId, Purpose, StateId};
use crate::store::lease::Lease;
use crate::store::{Redeemed, Rotated, Store};

/// Most unused clients, and most logins.
const QUOTA: usize = 3;

/// What to do next. A number picks one of what has been made so far; new things are numbered on.
#[derive(Clone, Debug)]
enum Op {
    Register,
    Remember { client: usize, used: bool },
    UseOnce { id: usize },
    Enrol { of: usize, expires: bool },
    Disenrol { of: usize },
    Begin { client: usize },
    Take { state: usize, right_browser: bool },
    Grant { client: usize },
    Redeem { code: usize },
    Rotate { refresh: usize },
    Lease { grant: usize, version: u64 },
    End { lease: usize, how: Ending },
    Revoke { kind: usize, of: usize },
    User { of: usize, deed: Deed },
    Wait { seconds: u64 },
    Sweep,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let one = || 0..1_000_usize;
    let op = prop_oneof![
        2 => Just(Op::Register),
        1 => (one(), any::<bool>()).prop_map(|(client, used)| Op::Remember { client, used }),
        1 => (0..4_usize).prop_map(|id| Op::UseOnce { id }),
        2 => (one(), any::<bool>()).prop_map(|(of, expires)| Op::Enrol { of, expires }),
        1 => one().prop_map(|of| Op::Disenrol { of }),
        2 => one().prop_map(|client| Op::Begin { client }),
        2 => (one(), any::<bool>()).prop_map(|(state, right_browser)| Op::Take { state, right_browser }),
        3 => one().prop_map(|client| Op::Grant { client }),
        4 => one().prop_map(|code| Op::Redeem { code }),
        6 => one().prop_map(|refresh| Op::Rotate { refresh }),
        1 => (one(), 0..3_u64).prop_map(|(grant, version)| Op::Lease { grant, version }),
        1 => one().prop_map(|lease| Op::End { lease, how: Ending::Update }),
        2 => (0..6_usize, one()).prop_map(|(kind, of)| Op::Revoke { kind, of }),
        3 => prop_oneof![0..40_u64, 0..2_000_u64, 0..8_000_u64].prop_map(|seconds| Op::Wait { seconds }),
        2 => Just(Op::Sweep),
    ];
    prop::collection::vec(op, 1..80)
}

/// Of the operations those that a lease is about, on one grant.
fn lease_ops() -> impl Strategy<Value = Vec<Op>> {
    let ending = prop_oneof![
        2 => Just(Ending::Update),
        2 => Just(Ending::Keep),
        2 => Just(Ending::Defer),
        1 => Just(Ending::Revoke),
    ];
    let op = prop_oneof![
        6 => (0..4_u64).prop_map(|version| Op::Lease { grant: 0, version }),
        4 => (0..1_000_usize, ending).prop_map(|(lease, how)| Op::End { lease, how }),
        1 => Just(Op::Rotate { refresh: 0 }),
        4 => (0..10_u64).prop_map(|seconds| Op::Wait { seconds }),
    ];
    let begin = vec![Op::Register, Op::Grant { client: 0 }, Op::Redeem { code: 0 }];
    prop::collection::vec(op, 1..60).prop_map(move |ops| [begin.clone(), ops].concat())
}

/// Of the operations those that a user does.
fn user_ops() -> impl Strategy<Value = Vec<Op>> {
    let one = || 0..1_000_usize;
    let op = prop_oneof![
        12 => (one(), users::deeds()).prop_map(|(of, deed)| Op::User { of, deed }),
        2 => one().prop_map(|code| Op::Redeem { code }),
        2 => one().prop_map(|refresh| Op::Rotate { refresh }),
        2 => (0..6_usize, one()).prop_map(|(kind, of)| Op::Revoke { kind, of }),
        2 => prop_oneof![0..40_u64, 0..2_000_u64].prop_map(|seconds| Op::Wait { seconds }),
        2 => Just(Op::Sweep),
    ];
    let begin = vec![Op::Register, Op::Register];
    prop::collection::vec(op, 1..60).prop_map(move |ops| [begin.clone(), ops].concat())
}

/// How many of each there have been.
#[derive(Default)]
struct Made {
    clients: usize,
    provider_clients: usize,
    logins: usize,
    grants: usize,
    tokens: usize,
    enrolments: usize,
    sessions: usize,
    /// The pairs of tokens that were kept, each with its grant.
    kept: Vec<(String, String)>,
    /// The leases that are not ended, each twice: the store's and the model's.
    leases: Vec<(Lease, Lease)>,
}

/// One of so many, every other time one of the last: those are the ones that anything happens to.
fn pick(draw: usize, of: usize) -> usize {
    match of {
        0 => 0,
        _ if draw.is_multiple_of(2) => of - 1 - draw / 2 % of.min(3),
        _ => draw / 2 % of,
    }
}

/// Any operations.
pub(crate) fn agrees<H, S: Store>(open: impl Fn() -> (H, S)) {
    agrees_on(&ops(), open);
}

/// Leases.
pub(crate) fn agrees_on_leases<H, S: Store>(open: impl Fn() -> (H, S)) {
    agrees_on(&lease_ops(), open);
}

/// What users do.
pub(crate) fn agrees_on_users<H, S: Store>(open: impl Fn() -> (H, S)) {
    agrees_on(&user_ops(), open);
}

/// Runs the operations, on a new store each time.
fn agrees_on<H, S: Store>(ops: &impl Strategy<Value = Vec<Op>>, open: impl Fn() -> (H, S)) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(ops, |ops| {
            let (_home, store) = open();
            runtime.block_on(run(&store, ops));
            Ok(())
        })
        .unwrap();
}

// === impl Made ===

impl Made {
    /// The name of the next pair of tokens.
    fn token(&mut self) -> String {
        self.tokens += 1;
        format!("t{}", self.tokens - 1)
    }
}

async fn run(store: &dyn Store, ops: Vec<Op>) {
    let mut memory = Memory::new(*store.head().borrow());
    let mut made = Made::default();
    let mut now = 0;
    for op in ops {
        if let Op::Wait { seconds } = op {
            now += seconds;
        }
        apply(store, &mut memory, &mut made, &op, now).await;
        compare(store, &memory, &made, now).await;
    }
}

async fn apply(store: &dyn Store, memory: &mut Memory, made: &mut Made, op: &Op, seconds: u64) {
    let now = at(seconds);
    match *op {
        Op::Register => {
            let mut client = client(&format!("c{}", made.clients));
            client.unused_until = Some(now.after(GRACE * 10));
            made.clients += 1;
            let registered = store.register(client.clone(), QUOTA).await.unwrap();
            assert_eq!(registered, memory.register(client, QUOTA), "{op:?}");
        }
        Op::Remember { client, used } => elsewhere::remember(store, memory, made, client, used).await,
        Op::UseOnce { id } => {
            let (id, until) = (token_id(&format!("used {id}")), now.after(GRACE));
            let first = store.use_once(id, until).await.unwrap();
            assert_eq!(first, memory.use_once(id, until), "{op:?}");
        }
        Op::Enrol { of, expires } => {
            provider_clients::keep(store, memory, made, of, expires, now).await;
        }
        Op::Disenrol { of } => provider_clients::forget(store, memory, made, of).await,
        Op::Begin { client } => {
            let mut pending = pending("browser");
            if let Purpose::Authorization(request) = &mut pending.purpose {
                request.client = ClientId::new(format!("c{}", pick(client, made.clients)));
            }
            pending.expires_at = now.after(GRACE * 10);
            let state = StateId::of(&format!("s{}", made.logins));
            made.logins += 1;
            let begun = store.begin(state, pending.clone(), QUOTA).await.unwrap();
            assert_eq!(begun, memory.begin(state, pending, QUOTA), "{op:?}");
        }
        Op::Take { state, right_browser } => {
            let state = StateId::of(&format!("s{}", pick(state, made.logins)));
            let browser = BrowserId::of(if right_browser { "browser" } else { "another" });
            let taken = store.take_pending(&state, &browser, now).await.unwrap();
            assert_eq!(taken, memory.take_pending(state, browser, now), "{op:?}");
        }
        Op::Grant { client } => {
            let name = format!("g{}", made.grants);
            let grant = grant(&name, &format!("c{}", pick(client, made.clients)), now);
            let code = code(&grant);
            made.grants += 1;
            let granted = store.grant(grant.clone(), token_id(&name), code.clone()).await.unwrap();
            assert_eq!(granted, memory.grant(grant, token_id(&name), &code), "{op:?}");
        }
        Op::Redeem { code } => {
            let (grant, new) = (format!("g{}", pick(code, made.grants)), made.token());
            let issue = issue(&grant, &new, None, now);
            let redeemed = store.redeem(&token_id(&grant), issue.clone(), now).await.unwrap();
            assert_eq!(redeemed, memory.redeem(token_id(&grant), issue, now), "{op:?}");
            if redeemed == Redeemed::Issued {
                made.kept.push((new, grant));
            }
        }
        Op::Rotate { refresh } => {
            let unknown = || ("unknown".to_owned(), "g0".to_owned());
            let (old, grant) = made.kept.get(pick(refresh, made.kept.len())).cloned().unwrap_or_else(unknown);
            let (id, new) = (refresh_id(&old), made.token());
            let issue = issue(&grant, &new, Some(&old), now);
            let rotated = store.rotate(&id, issue.clone(), answer(&new), ROTATION, now).await.unwrap();
            assert_eq!(rotated, memory.rotate(id, issue, answer(&new), ROTATION, now), "{op:?}");
            if rotated == Rotated::Issued {
                made.kept.push((new, grant));
            }
        }
        Op::Lease { grant, version } => leases::take(store, memory, made, grant, version, now).await,
        Op::End { lease, how } => leases::end(store, memory, made, lease, how, now).await,
        Op::User { of, deed } => users::act(store, memory, made, of, deed, now).await,
        Op::Revoke { kind, of } => {
            let name = format!("c{}", pick(of, made.clients));
            let scope = match kind {
                0 => Scope::Token(access_id(&format!("t{}", pick(of, made.tokens)))),
                1 => Scope::Grant(GrantId::new(format!("g{}", pick(of, made.grants)))),
                2 => Scope::Client(ClientId::new(name)),
                3 => Scope::Subject(ProviderName::new("provider"), Subject::new(name)),
                4 => Scope::Server(ServerName::new(format!("server-{name}"))),
                _ => Scope::Everything,
            };
            let entry = store.revoke(scope.clone(), now).await.unwrap();
            assert_eq!(entry, memory.revoke(scope, now), "{op:?}");
        }
        Op::Wait { .. } => {}
        Op::Sweep => {
            store.sweep(now, MANY).await.unwrap();
            memory.sweep(now);
            assert_eq!(store.sweep(now, MANY).await.unwrap(), 0, "a sweep leaves nothing behind");
        }
    }
}

/// Everything that can be seen.
async fn compare(store: &dyn Store, memory: &Memory, made: &Made, seconds: u64) {
    let now = at(seconds);
    assert_eq!(store.clients(None, MANY).await.unwrap(), memory.clients());
    assert_eq!(store.grants(None, MANY).await.unwrap(), memory.live_grants());
    for number in 0..made.clients {
        let id = ClientId::new(format!("c{number}"));
        assert_eq!(store.client(&id, now).await.unwrap(), memory.client(&id, now));
    }
    users::compare(store, memory, made, now).await;
    provider_clients::compare(store, memory, made, now).await;
    for number in 0..made.grants {
        let name = format!("g{number}");
        let id = GrantId::new(name.as_str());
        assert_eq!(store.live_grant(&id).await.unwrap(), memory.live_grant(&id));
        assert_eq!(store.code(&token_id(&name)).await.unwrap(), memory.code(token_id(&name)));
    }
    for number in 0..made.tokens {
        let (access, refresh) = (access_id(&format!("t{number}")), refresh_id(&format!("t{number}")));
        assert_eq!(store.access_token(&access, now).await.unwrap(), memory.access_token(access, now));
        assert_eq!(store.refresh_token(&refresh).await.unwrap(), memory.refresh_token(refresh));
    }
    assert_eq!(*store.head().borrow(), memory.head());
    assert_eq!(store.base().await.unwrap(), memory.base());
    for position in memory.positions() {
        let entries = store.entries_after(position, MANY).await.unwrap();
        assert_eq!(entries, memory.entries_after(position));
    }
}

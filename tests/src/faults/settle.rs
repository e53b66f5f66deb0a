//! The end of a round: everything is up again. What was left open is closed, and then all that is known is
//! compared with all that there is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::v1::{ListClientsRequest, ListInstancesRequest, Page};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::deeds::Asked;
use super::dice::Dice;
use super::model::{Held, Kind, SessionId};
use super::site::Site;

/// How long recovery may take: authz comes back to the control plane after 5 s at the latest.
const RECOVERY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// Sessions that are compared at a time.
const AT_A_TIME: usize = 8;
/// Revoked sessions that are remembered.
const DEAD: usize = 80;
const PAGE: u32 = 1000;
const REVOCATION: &str = "a revocation is not acknowledged";

/// Settles and compares.
pub(super) async fn settle(site: &Arc<Site>, dice: &mut Dice) {
    close(site).await;
    let patience = Patience::new();
    while !caught_up(site).await {
        if patience.is_over(site, "the instances have not caught up").await {
            return;
        }
    }
    site.model().settled(Instant::now());
    compare_sessions(site, dice).await;
    compare_clients(site).await;
    site.model().forget_dead(DEAD);
}

/// The time that a part has to come back.
struct Patience(Instant);

/// Asks again for every revocation whose answer was lost, until it is acknowledged.
async fn close(site: &Site) {
    let unsure = site.model().unsure();
    for session in unsure {
        let patience = Patience::new();
        while !site.revoke_session(session).await && !patience.is_over(site, REVOCATION).await {}
    }
    let live = site.model().live();
    let unsure = |session: SessionId| {
        let model = site.model();
        model.held(session).into_iter().filter(|held| model.is_unsure(held)).collect::<Vec<_>>()
    };
    for held in live.into_iter().flat_map(unsure) {
        let patience = Patience::new();
        while !site.revoke_token(&held).await && !patience.is_over(site, REVOCATION).await {}
    }
}

/// Whether every instance is connected and has applied the whole log.
async fn caught_up(site: &Site) -> bool {
    let Ok(answer) = site.admin.clone().list_instances(ListInstancesRequest::default()).await else {
        return false;
    };
    let answer = answer.into_inner();
    // An instance's earlier streams may not have been noticed to be gone.
    let current = answer.instances.iter().filter(|instance| instance.applied >= answer.head);
    let current: BTreeSet<_> = current.map(|instance| &instance.name).collect();
    current.len() == site.instances.len()
}

async fn compare_sessions(site: &Arc<Site>, dice: &mut Dice) {
    let (live, dead) = {
        let model = site.model();
        (model.live(), model.dead())
    };
    let mut tasks = JoinSet::new();
    let dead = dead.into_iter().map(|session| (session, true));
    for (session, dead) in live.into_iter().map(|session| (session, false)).chain(dead) {
        if tasks.len() == AT_A_TIME {
            tasks.join_next().await.transpose().unwrap_or_else(|panic| panic!("{panic}"));
        }
        let (site, mut dice) = (site.clone(), dice.fork());
        tasks.spawn(async move { compare_session(&site, session, dead, &mut dice).await });
    }
    tasks.join_all().await;
}

/// The model judges each answer; here it is only seen to that there is one.
async fn compare_session(site: &Site, session: SessionId, dead: bool, dice: &mut Dice) {
    let held = site.model().held(session);
    for held in &held {
        for instance in 0..site.instances.len() {
            decided(site, held, Asked::Instance(instance)).await;
        }
    }
    if let Some(latest) = held.last().filter(|_| dice.one_in(4)) {
        decided(site, latest, Asked::Edge).await;
    }
    let unanswered = site.model().unanswered().contains(&session);
    if unanswered || dead || dice.one_in(4) {
        let patience = Patience::new();
        while !site.refresh(session).await && !patience.is_over(site, "a refresh is not answered").await {}
    }
}

async fn decided(site: &Site, held: &Held, asked: Asked) {
    let otherwise = format!("{asked} does not decide");
    let patience = Patience::new();
    while !site.call(held, asked).await && !patience.is_over(site, &otherwise).await {}
}

/// Whether every client that was told that it is registered is.
async fn compare_clients(site: &Site) {
    let patience = Patience::new();
    let known = loop {
        match registered(site).await {
            Some(known) => break known,
            None if patience.is_over(site, "the clients are not listed").await => return,
            None => {}
        }
    };
    let mut model = site.model();
    let lost: Vec<_> =
        model.clients().map(|client| &client.client_id).filter(|id| !known.contains(*id)).cloned().collect();
    for client in lost {
        model.judge(Kind::Lost, format!("client {client} is not registered any more"));
    }
}

async fn registered(site: &Site) -> Option<BTreeSet<String>> {
    let (mut known, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page = Some(Page { size: PAGE, after });
        let answer = site.admin.clone().list_clients(ListClientsRequest { page }).await.ok()?.into_inner();
        known.extend(answer.clients.into_iter().map(|client| client.client_id));
        after = answer.next;
        if after.is_empty() {
            return Some(known);
        }
    }
}

// === impl Patience ===

impl Patience {
    fn new() -> Self {
        Self(Instant::now())
    }

    /// Waits a moment. Once there have been too many of them, that is a verdict.
    async fn is_over(&self, site: &Site, what: &str) -> bool {
        if self.0.elapsed() > RECOVERY {
            site.model().judge(Kind::Stuck, format!("{what} after {RECOVERY:?}"));
            return true;
        }
        sleep(POLL).await;
        false
    }
}

//! Clients and operators at work, all at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::deeds::Asked;
use super::dice::Dice;
use super::model::{Held, SessionId, Target};
use super::site::Site;

const WORKERS: u8 = 8;
/// Between two deeds of one worker.
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(1)..Duration::from_millis(40);
/// Sessions that are alive at a time; beyond that, clients log out.
const SESSIONS: usize = 50;
/// Who logs in, as a rule.
const USERS: [&str; 2] = ["ada", "grace"];
/// Who is revoked as a whole from time to time.
const UNLUCKY: &str = "alan";

/// Workers at work.
#[derive(Debug)]
pub(super) struct Load {
    stop: CancellationToken,
    workers: JoinSet<()>,
}

/// What is revoked: the first two by a client, the others by an operator.
#[derive(Clone, Copy, Debug)]
enum Revocation {
    AccessToken,
    RefreshToken,
    Grant,
    Token,
    Client,
    Subject,
}

// === impl Revocation ===

impl Revocation {
    const ALL: [Self; 6] =
        [Self::AccessToken, Self::RefreshToken, Self::Grant, Self::Token, Self::Client, Self::Subject];
}

// === impl Load ===

impl Load {
    /// Sets everybody to work.
    pub(super) fn start(site: &Arc<Site>, dice: &mut Dice) -> Self {
        let stop = CancellationToken::new();
        let mut workers = JoinSet::new();
        for number in 1..=WORKERS {
            let (site, mut dice, stop) = (site.clone(), dice.fork(), stop.clone());
            workers.spawn(async move {
                while !stop.is_cancelled() {
                    work(&site, number, &mut dice).await;
                    sleep(dice.within(PAUSE)).await;
                }
            });
        }
        Self { stop, workers }
    }

    /// Lets everybody finish what they are at.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.workers.join_all().await;
    }
}

/// One deed.
async fn work(site: &Site, number: u8, dice: &mut Dice) {
    match dice.below(200) {
        0..8 => site.register(Site::caller(number)).await,
        8..36 => log_in_or_out(site, dice).await,
        36..66 => {
            if let Some(session) = live(site, dice) {
                site.refresh(session).await;
            }
        }
        66..100 => call_live(site, dice, Asked::Edge).await,
        100..145 => {
            let asked = instance(site, dice);
            call_live(site, dice, asked).await;
        }
        145..175 => call_revoked(site, dice).await,
        175..182 => revoke(site, dice, Revocation::AccessToken).await,
        182..188 => revoke(site, dice, Revocation::RefreshToken).await,
        188..193 => revoke(site, dice, Revocation::Grant).await,
        193..197 => revoke(site, dice, Revocation::Token).await,
        197..199 => revoke(site, dice, Revocation::Client).await,
        _ => revoke(site, dice, Revocation::Subject).await,
    }
}

/// One revocation of each kind: chance may leave one out in a short run.
pub(super) async fn revoke_in_every_way(site: &Site, dice: &mut Dice) {
    for revocation in Revocation::ALL {
        revoke(site, dice, revocation).await;
    }
}

async fn revoke(site: &Site, dice: &mut Dice, revocation: Revocation) {
    match revocation {
        Revocation::AccessToken => {
            if let Some(held) = live_token(site, dice) {
                site.revoke_token(&held).await;
            }
        }
        Revocation::RefreshToken => {
            if let Some(session) = live(site, dice) {
                // The same twice at once: whoever is answered must be able to rely on it.
                tokio::join!(site.revoke_session(session), site.revoke_session(session));
            }
        }
        Revocation::Grant => {
            if let Some(session) = live(site, dice) {
                site.revoke_as_operator(Target::Session(session)).await;
            }
        }
        Revocation::Token => {
            if let Some(held) = live_token(site, dice) {
                site.revoke_as_operator(Target::Token(held.session, held.access_token)).await;
            }
        }
        Revocation::Client => {
            let client = dice.pick(site.model().clients().map(|client| client.client_id.clone()));
            if let Some(client) = client {
                site.revoke_as_operator(Target::Client(client)).await;
            }
        }
        Revocation::Subject => site.revoke_as_operator(Target::User(UNLUCKY)).await,
    }
}

async fn log_in_or_out(site: &Site, dice: &mut Dice) {
    let (sessions, client) = {
        let model = site.model();
        (model.live().len(), dice.pick(model.clients().cloned()))
    };
    match client {
        None => site.register(Site::caller(0)).await,
        Some(client) if sessions < SESSIONS => {
            let user = if dice.one_in(8) { Some(UNLUCKY) } else { dice.pick(USERS) };
            site.log_in(client, user.unwrap_or(UNLUCKY)).await;
        }
        Some(_) => {
            let oldest = site.model().live().first().copied();
            if let Some(session) = oldest {
                site.revoke_session(session).await;
            }
        }
    }
}

async fn call_live(site: &Site, dice: &mut Dice, asked: Asked) {
    if let Some(held) = live_token(site, dice) {
        site.call(&held, asked).await;
    }
}

/// Asks about something revoked, everywhere.
async fn call_revoked(site: &Site, dice: &mut Dice) {
    let held = {
        let model = site.model();
        let dead = dice.pick(model.dead()).map_or_else(Vec::new, |session| model.held(session));
        let of_live = dice.pick(model.live()).map_or_else(Vec::new, |session| model.held(session));
        dice.pick(dead.into_iter().chain(of_live).filter(|held| model.is_dead(held)))
    };
    let Some(held) = held else { return };
    for instance in 0..site.instances.len() {
        site.call(&held, Asked::Instance(instance)).await;
    }
    site.call(&held, Asked::Edge).await;
}

fn instance(site: &Site, dice: &mut Dice) -> Asked {
    Asked::Instance(dice.pick(0..site.instances.len()).unwrap_or_default())
}

fn live(site: &Site, dice: &mut Dice) -> Option<SessionId> {
    dice.pick(site.model().live())
}

/// A token that nobody has revoked: the latest as a rule, as clients do.
fn live_token(site: &Site, dice: &mut Dice) -> Option<Held> {
    let model = site.model();
    let mut held = model.held(dice.pick(model.live())?);
    held.retain(|held| !model.is_dead(held));
    if dice.one_in(4) { dice.pick(held) } else { held.pop() }
}

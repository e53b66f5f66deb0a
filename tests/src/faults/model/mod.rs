//! The memory of everything that was acknowledged, and the judgement of everything that is seen. Pure: it asks
//! nobody, and moments are given to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

mod answers;
mod fate;
mod revocation;
mod session;
mod verdict;

pub(super) use answers::Said;
pub(super) use fate::Acknowledged;
use fate::Fate;
pub(super) use revocation::Target;
use revocation::Wide;
use session::{Session, short};
pub(super) use session::{SessionId, token_id};
pub use verdict::{Kind, Verdict};

use crate::client::{Client, Failure, Tokens};

/// Verdicts that are kept: one is too many already.
const VERDICTS: usize = 10;

/// What the system promises, as far as it depends on its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promises {
    /// After a durable revocation, an instance that is cut off may let its tokens pass for so long.
    pub(crate) reach: Duration,
    /// For how long a refresh may be repeated.
    pub(crate) grace: Duration,
    /// By how much an access token may expire too early, because clocks differ.
    pub(crate) early: Duration,
}

/// Everything that was acknowledged.
#[derive(Debug)]
pub(super) struct Model {
    promises: Promises,
    start: Instant,
    clients: BTreeMap<String, Arc<Client>>,
    sessions: BTreeMap<SessionId, Session>,
    wide: Vec<Wide>,
    next: u64,
    verdicts: Vec<Verdict>,
}

/// An access token and its client.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Whose login it is.
    pub session: SessionId,
    /// Who holds it.
    pub client: Arc<Client>,
    /// Its text.
    pub access_token: String,
}

/// A login that has begun.
#[derive(Clone, Debug)]
pub(super) struct Login {
    /// The client.
    pub client: Arc<Client>,
    /// Who logs in.
    pub user: &'static str,
    began: Instant,
}

// === impl Login ===

impl Login {
    /// Somebody logs in.
    pub(super) fn new(client: Arc<Client>, user: &'static str, now: Instant) -> Self {
        Self { client, user, began: now }
    }
}

// === impl Model ===

impl Model {
    /// Nothing has been acknowledged.
    pub(super) fn new(promises: Promises, now: Instant) -> Self {
        let (clients, sessions) = (BTreeMap::new(), BTreeMap::new());
        let (wide, verdicts) = (Vec::new(), Vec::new());
        Self { promises, start: now, clients, sessions, wide, next: 0, verdicts }
    }

    // --- registrations and logins ---

    /// A registration was acknowledged.
    pub(super) fn registered(&mut self, client: Client) {
        self.clients.insert(client.client_id.clone(), Arc::new(client));
    }

    /// All registered clients.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.clients.values()
    }

    /// The login was acknowledged with tokens.
    pub(super) fn logged_in(&mut self, login: Login, tokens: Tokens, now: Instant) {
        let overlapping = self.overlapping(&login);
        let Login { client, user, began } = login;
        let id = self.next();
        let line = format!("{} logged in with {}", self.at(now), short(&tokens.access_token));
        let mut session = Session::new(client, user, tokens, began);
        session.note(line);
        if overlapping {
            // Whichever came first in the log: nobody can tell from outside.
            session.fate.attempt();
            session.note("while all logins of this client or user were being revoked".to_owned());
        }
        self.sessions.insert(id, session);
    }

    /// The login was refused: not for want of an answer, and not because of the user.
    pub(super) fn login_refused(&mut self, login: &Login, failure: &Failure, now: Instant) {
        if failure.is_outage() || self.overlapping(login) {
            return;
        }
        let (client, began) = (&login.client.client_id, self.at(login.began));
        let at = self.at(now);
        self.judge(
            Kind::Lost,
            format!("{at} a login of client {client}, begun at {began}, was refused: {failure}"),
        );
    }

    /// An instance has told which grant a session is.
    pub(super) fn is_grant(&mut self, id: SessionId, grant: String) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.grant.get_or_insert(grant);
        }
    }

    /// The grant of a session, where it is known.
    pub(super) fn grant(&self, id: SessionId) -> Option<String> {
        self.sessions.get(&id)?.grant.clone()
    }

    // --- what there is ---

    /// Sessions that nobody has tried to revoke.
    pub(super) fn live(&self) -> Vec<SessionId> {
        self.where_fate(Fate::is_untouched)
    }

    /// Sessions of which nobody knows.
    pub(super) fn unsure(&self) -> Vec<SessionId> {
        self.where_fate(Fate::is_unsure)
    }

    /// Sessions that are revoked.
    pub(super) fn dead(&self) -> Vec<SessionId> {
        self.where_fate(Fate::is_dead)
    }

    /// Sessions with a refresh whose answer was lost.
    pub(super) fn unanswered(&self) -> Vec<SessionId> {
        let unanswered = |session: &&SessionId| {
            self.sessions.get(session).is_some_and(|session| session.refresh.unanswered.is_some())
        };
        self.sessions.keys().filter(unanswered).copied().collect()
    }

    /// All access tokens of a session, the latest last.
    pub(super) fn held(&self, id: SessionId) -> Vec<Held> {
        let Some(session) = self.sessions.get(&id) else { return Vec::new() };
        let client = &session.client;
        let held = session.tokens.iter().map(|token| Held {
            session: id,
            client: client.clone(),
            access_token: token.text.clone(),
        });
        held.collect()
    }

    /// Whether a token is revoked, by itself or with its session.
    pub(super) fn is_dead(&self, held: &Held) -> bool {
        self.fates(held).iter().any(|fate| fate.is_dead())
    }

    /// Whether a token may be alive or dead.
    pub(super) fn is_unsure(&self, held: &Held) -> bool {
        !self.is_dead(held) && self.fates(held).iter().any(|fate| fate.is_unsure())
    }

    /// The refresh token of a session and its client.
    pub(super) fn refresh_token(&self, id: SessionId) -> Option<(Arc<Client>, String)> {
        self.sessions.get(&id).map(|session| (session.client.clone(), session.refresh.token.clone()))
    }

    /// Forgets all but the latest of the dead sessions: so that the memory is bounded.
    pub(super) fn forget_dead(&mut self, keep: usize) {
        let dead = self.dead();
        for id in &dead[..dead.len().saturating_sub(keep)] {
            self.sessions.remove(id);
        }
    }

    // --- verdicts ---

    /// All promises that were not kept.
    pub(super) fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// A promise was not kept.
    pub(super) fn judge(&mut self, kind: Kind, account: String) {
        if self.verdicts.len() < VERDICTS {
            self.verdicts.push(Verdict { kind, account });
        }
    }

    fn judge_session(&mut self, kind: Kind, id: SessionId, what: &str) {
        let Some(session) = self.sessions.get(&id) else { return };
        let grant = session.grant.as_deref().unwrap_or("of unknown id");
        let (client, user) = (&session.client.client_id, session.user);
        let history = session.history.join("\n    ");
        let account = format!("{what}\n  user {user}, client {client}, grant {grant}\n    {history}");
        self.judge(kind, account);
    }

    fn where_fate(&self, wanted: fn(Fate) -> bool) -> Vec<SessionId> {
        self.sessions.iter().filter(|(_, session)| wanted(session.fate)).map(|(id, _)| *id).collect()
    }

    fn fates(&self, held: &Held) -> Vec<Fate> {
        let Some(session) = self.sessions.get(&held.session) else { return Vec::new() };
        let token = session.tokens.iter().find(|token| token.text == held.access_token);
        std::iter::once(session.fate).chain(token.map(|token| token.fate)).collect()
    }

    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A moment as it is told: seconds since the beginning.
    pub(super) fn at(&self, moment: Instant) -> String {
        format!("{:.3} s", moment.saturating_duration_since(self.start).as_secs_f64())
    }
}

#[cfg(test)]
mod tests;

//! The memory of everything that was acknowledged, and the judgement of everything that is seen. Pure: it asks
//! nobody, and moments are given to it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

mod fate;
mod revocation;
mod session;
mod verdict;

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
    pub reach: Duration,
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

/// A use of a refresh token.
#[derive(Clone, Debug)]
pub(super) struct Refreshing {
    /// Whose.
    pub session: SessionId,
    /// Who uses it.
    pub client: Arc<Client>,
    /// Its text.
    pub refresh_token: String,
    began: Instant,
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

/// What was said to the bearer of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is good.
    Allowed,
    /// It is no good: the client forgets it.
    Refused,
    /// Ask again; or nothing at all.
    Undecided,
    /// Something that nobody should say.
    Strange(StatusCode),
}

// === impl Login ===

impl Login {
    /// Somebody logs in.
    pub(super) fn new(client: Arc<Client>, user: &'static str, now: Instant) -> Self {
        Self { client, user, began: now }
    }
}

// === impl Said ===

impl From<StatusCode> for Said {
    fn from(status: StatusCode) -> Self {
        match status {
            StatusCode::OK => Self::Allowed,
            StatusCode::UNAUTHORIZED => Self::Refused,
            // The edge's own limits are about how often, not about whom.
            StatusCode::TOO_MANY_REQUESTS => Self::Undecided,
            status if status.is_server_error() => Self::Undecided,
            status => Self::Strange(status),
        }
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

    /// From now on, an instance that is cut off has so long.
    pub(super) fn promise(&mut self, reach: Duration) {
        self.promises.reach = reach;
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

    // --- refreshes ---

    /// The client uses its refresh token, unless it is doing that already.
    pub(super) fn refresh(&mut self, id: SessionId, now: Instant) -> Option<Refreshing> {
        let session = self.sessions.get_mut(&id).filter(|session| !session.refresh.busy)?;
        session.refresh.busy = true;
        session.refresh.unanswered.get_or_insert(now);
        let (client, refresh_token) = (session.client.clone(), session.refresh.token.clone());
        Some(Refreshing { session: id, client, refresh_token, began: now })
    }

    /// What came of it.
    pub(super) fn refreshed(
        &mut self,
        refreshing: &Refreshing,
        answer: Result<Tokens, Failure>,
        now: Instant,
    ) {
        let (at, grace) = (self.at(now), self.promises.grace);
        let Some(session) = self.sessions.get_mut(&refreshing.session) else { return };
        session.refresh.busy = false;
        let unanswered = session.refresh.unanswered;
        match answer {
            Ok(tokens) => {
                let dead = session.fate.dead_by(refreshing.began);
                session.note(format!("{at} refreshed, with {}", short(&tokens.access_token)));
                session.take(tokens, refreshing.began);
                if dead {
                    self.judge_session(
                        Kind::Resurrected,
                        refreshing.session,
                        "a refresh was answered with tokens",
                    );
                }
            }
            // Done or not: the same refresh token must work again.
            Err(failure) if failure.is_outage() => session.note(format!("{at} refresh: {failure}")),
            Err(failure) => {
                session.note(format!("{at} refresh: {failure}"));
                if unanswered.is_some_and(|first| now > first + grace) {
                    // The answer was lost for longer than a repetition is allowed: the session ends, rightly
                    // (RFC 9700 section 4.14.2).
                    session.fate.attempt();
                } else if session.fate.is_untouched() {
                    self.judge_session(Kind::Lost, refreshing.session, "its refresh token was refused");
                }
            }
        }
    }

    // --- access tokens ---

    /// What was said to the bearer of a token who asked at `began`.
    pub(super) fn said(&mut self, held: &Held, by: &dyn Display, said: Said, began: Instant, now: Instant) {
        let Some(session) = self.sessions.get_mut(&held.session) else { return };
        let of_session = session.fate;
        let Some(token) = session.token(&held.access_token) else { return };
        let fates = [of_session, token.fate];
        let Promises { reach, early, .. } = self.promises;
        let kind = match said {
            Said::Allowed => {
                fates.iter().any(|fate| fate.refused_by(began, reach)).then_some(Kind::Resurrected)
            }
            Said::Refused => {
                // Nobody has revoked it, and its time is not over.
                let lives = fates.iter().all(|fate| fate.is_untouched()) && now + early < token.good_until;
                lives.then_some(Kind::Lost)
            }
            Said::Undecided => None,
            Said::Strange(_) => Some(Kind::Lost),
        };
        if let Some(kind) = kind {
            let (token, began, at) = (short(&held.access_token), self.at(began), self.at(now));
            let what = format!("{at} {by} said {said:?} to {token}, asked at {began}");
            self.judge_session(kind, held.session, &what);
        }
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

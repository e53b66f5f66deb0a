//! Revocations, from the question to the answer.

use tokio::time::Instant;

use super::session::SessionId;
use super::{Acknowledged, Login, Model, short};

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// One access token, with its session's name.
    Token(SessionId, String),
    /// One session.
    Session(SessionId),
    /// All sessions of a client so far.
    Client(String),
    /// All sessions of a user so far.
    User(&'static str),
}

/// A revocation that has been asked for.
#[derive(Debug)]
pub(crate) struct Revocation {
    id: u64,
    target: Target,
    /// What was acknowledged before this was asked for, and so is hit for certain.
    covers: Vec<SessionId>,
}

/// One that hits whatever comes before it in the log.
#[derive(Debug)]
pub(super) struct Wide {
    id: u64,
    target: Target,
    /// When it was answered.
    ended: Option<Instant>,
}

// === impl Model ===

impl Model {
    /// A revocation is about to be asked for.
    pub(crate) fn revoke(&mut self, target: Target, now: Instant) -> Revocation {
        let id = self.next();
        let covers = self.covered(&target);
        let at = self.at(now);
        for covered in &covers {
            let Some(session) = self.sessions.get_mut(covered) else { continue };
            match &target {
                Target::Token(_, text) => {
                    if let Some(token) = session.token(text) {
                        token.fate.attempt();
                    }
                }
                Target::Session(_) | Target::Client(_) | Target::User(_) => session.fate.attempt(),
            }
            session.note(format!("{at} revocation {id} of {target} is asked for"));
        }
        if let Target::Client(_) | Target::User(_) = target {
            self.wide.push(Wide { id, target: target.clone(), ended: None });
        }
        Revocation { id, target, covers }
    }

    /// The answer; `None` where there was none, or one that promises nothing.
    pub(crate) fn revoked(&mut self, revocation: &Revocation, answer: Option<Acknowledged>, now: Instant) {
        let at = self.at(now);
        let id = revocation.id;
        for covered in &revocation.covers {
            let Some(session) = self.sessions.get_mut(covered) else { continue };
            session.note(format!("{at} revocation {id}: {answer:?}"));
            let Some(answer) = answer else { continue };
            match &revocation.target {
                Target::Token(_, text) => {
                    if let Some(token) = session.token(text) {
                        token.fate.acknowledge(answer, now);
                    }
                }
                Target::Session(_) | Target::Client(_) | Target::User(_) => {
                    session.fate.acknowledge(answer, now);
                }
            }
        }
        // Without an answer it may be under way still, and hit logins that come now.
        if answer.is_some()
            && let Some(wide) = self.wide.iter_mut().find(|wide| wide.id == id)
        {
            wide.ended = Some(now);
        }
    }

    /// Everything is at rest: no revocation is under way, and what is durable has been applied by all instances.
    pub(crate) fn settled(&mut self, now: Instant) {
        self.wide.clear();
        for session in self.sessions.values_mut() {
            let tokens = session.tokens.iter_mut().map(|token| &mut token.fate);
            for fate in tokens.chain([&mut session.fate]).filter(|fate| fate.is_dead()) {
                fate.acknowledge(Acknowledged::Effective, now);
            }
        }
    }

    /// Whether a login was under way together with a revocation that may have hit it.
    pub(super) fn overlapping(&self, login: &Login) -> bool {
        self.wide.iter().any(|wide| {
            let hits = match &wide.target {
                Target::Client(client) => *client == login.client.client_id,
                Target::User(user) => *user == login.user,
                Target::Token(..) | Target::Session(_) => false,
            };
            hits && wide.ended.is_none_or(|ended| ended >= login.began)
        })
    }

    fn covered(&self, target: &Target) -> Vec<SessionId> {
        let hit = |id: &SessionId| match target {
            Target::Token(session, _) | Target::Session(session) => session == id,
            Target::Client(client) => self.sessions[id].client.client_id == *client,
            Target::User(user) => self.sessions[id].user == *user,
        };
        self.sessions.keys().filter(|id| hit(id)).copied().collect()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(_, token) => write!(f, "token {}", short(token)),
            Self::Session(_) => f.write_str("this session"),
            Self::Client(_) => f.write_str("this client"),
            Self::User(_) => f.write_str("this user"),
        }
    }
}

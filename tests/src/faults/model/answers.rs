//! The judgement of what clients are told.

use std::fmt::Display;
use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::session::{SessionId, short};
use super::{Held, Kind, Model, Promises};
use crate::client::{Client, Failure, Tokens};

/// A use of a refresh token.
#[derive(Clone, Debug)]
pub(crate) struct Refreshing {
    /// Whose.
    pub session: SessionId,
    /// Who uses it.
    pub client: Arc<Client>,
    /// Its text.
    pub refresh_token: String,
    began: Instant,
}

/// What was said to the bearer of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is good.
    Allowed,
    /// It is no good: the client forgets it.
    Refused,
    /// Ask again; or nothing at all.
    Undecided,
    /// Something that nobody should say.
    Strange(StatusCode),
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
    // --- refreshes ---

    /// The client uses its refresh token, unless it is doing that already.
    pub(crate) fn refresh(&mut self, id: SessionId, now: Instant) -> Option<Refreshing> {
        let session = self.sessions.get_mut(&id).filter(|session| !session.refresh.busy)?;
        session.refresh.busy = true;
        session.refresh.unanswered.get_or_insert(now);
        let (client, refresh_token) = (session.client.clone(), session.refresh.token.clone());
        Some(Refreshing { session: id, client, refresh_token, began: now })
    }

    /// What came of it.
    pub(crate) fn refreshed(
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
    pub(crate) fn said(&mut self, held: &Held, by: &dyn Display, said: Said, began: Instant, now: Instant) {
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
}

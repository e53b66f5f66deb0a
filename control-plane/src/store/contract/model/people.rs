//! The model of what users do.

use portcullis_proto::ids::Subject;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

use super::memory::Memory;
use crate::oauth::enrolment::{ATTEMPTS, Enrolment, MOST_OF_A_USER};
use crate::oauth::grant::Grant;
use crate::oauth::pending::BrowserId;
use crate::oauth::session::{self, Session};
use crate::oauth::user_token::{Holder, UserToken};
use crate::store::{Begun, Enrolled, Finish, Granted};

// === impl Memory ===

impl Memory {
    pub(super) fn enrol(&mut self, id: [u8; 32], mut enrolment: Enrolment, quota: usize) -> Option<Begun> {
        if self.is_revoked(&enrolment.grant.revoked_by(), enrolment.grant.born) {
            return None;
        }
        let user = |enrolment: &Enrolment| {
            let grant = &enrolment.grant;
            (grant.provider.clone(), grant.subject.clone())
        };
        let own = self.enrolments.values().filter(|other| user(other) == user(&enrolment)).count();
        if own >= MOST_OF_A_USER {
            return Some(Begun::TooMany);
        }
        if self.enrolments.len() >= quota {
            return Some(Begun::Full);
        }
        self.protect(&enrolment.grant.client, enrolment.expires_at);
        enrolment.grant.born = enrolment.grant.born.min(self.head().sequence);
        self.enrolments.insert(id, enrolment);
        Some(Begun::Done)
    }

    fn enrolment(&self, id: [u8; 32], browser: BrowserId, now: Timestamp) -> Option<Enrolment> {
        let found = self.enrolments.get(&id)?;
        let revoked = self.is_revoked(&found.grant.revoked_by(), found.grant.born);
        (found.browser == browser && now < found.expires_at && !revoked).then(|| found.clone())
    }

    pub(super) fn attempt(&mut self, id: [u8; 32], browser: BrowserId, now: Timestamp) -> Option<Enrolment> {
        let mut enrolment = self.enrolment(id, browser, now)?;
        if enrolment.attempts == ATTEMPTS {
            self.enrolments.remove(&id);
            return None;
        }
        enrolment.attempts += 1;
        self.enrolments.insert(id, enrolment.clone());
        Some(enrolment)
    }

    pub(super) fn take_enrolment(
        &mut self,
        id: [u8; 32],
        browser: BrowserId,
        now: Timestamp,
    ) -> Option<Enrolment> {
        self.enrolment(id, browser, now)?;
        self.enrolments.remove(&id)
    }

    pub(super) fn finish(
        &mut self,
        id: [u8; 32],
        browser: BrowserId,
        finish: Finish,
        now: Timestamp,
    ) -> Enrolled {
        if self.take_enrolment(id, browser, now).is_none() {
            return Enrolled::Gone;
        }
        let holder = Holder::of(&finish.grant);
        let own = finish.grant.id.clone();
        if self.grant(finish.grant, finish.code.0, &finish.code.1) == Granted::Gone {
            return Enrolled::Gone;
        }
        // The new grant has no tokens yet. One of the same id would be another's.
        let before = self.user_tokens.insert(holder.clone(), finish.token);
        let entries = if before.is_some() { self.renew(&holder, now) } else { vec![] };
        assert!(!entries.iter().any(|entry| entry.scope == Scope::Grant(own.clone())));
        Enrolled::Done(entries)
    }

    pub(super) fn replace_user_token(
        &mut self,
        holder: &Holder,
        token: UserToken,
        now: Timestamp,
    ) -> Option<Vec<Entry>> {
        *self.user_tokens.get_mut(holder)? = token;
        Some(self.renew(holder, now))
    }

    pub(super) fn remove_user_token(&mut self, holder: &Holder, now: Timestamp) -> Vec<Entry> {
        self.user_tokens.remove(holder);
        let grants = self.grants_at(holder);
        grants.into_iter().map(|grant| self.revoke(Scope::Grant(grant.id), now)).collect()
    }

    fn grants_at(&self, holder: &Holder) -> Vec<Grant> {
        self.live_grants().into_iter().filter(|grant| Holder::of(grant) == *holder).collect()
    }

    fn renew(&mut self, holder: &Holder, now: Timestamp) -> Vec<Entry> {
        let mut tokens = Vec::new();
        for grant in self.grants_at(holder) {
            let of_grant = self.access.iter().filter(|(_, token)| token.grant == grant.id);
            tokens.extend(of_grant.map(|(id, _)| *id).filter(|id| self.access_token(*id, now).is_some()));
        }
        tokens.into_iter().map(|id| self.revoke(Scope::Token(id), now)).collect()
    }

    pub(super) fn grants_of(&self, subject: &Subject) -> Vec<Grant> {
        self.live_grants().into_iter().filter(|grant| grant.subject == *subject).collect()
    }

    pub(super) fn open_session(&mut self, id: [u8; 32], mut session: Session, quota: usize) -> Option<Begun> {
        if self.is_revoked(&session.revoked_by(), session.born) {
            return None;
        }
        let user = |session: &Session| (session.provider.clone(), session.subject.clone());
        let own = self.sessions.values().filter(|other| user(other) == user(&session)).count();
        if own >= session::MOST_OF_A_USER {
            return Some(Begun::TooMany);
        }
        if self.sessions.len() >= quota {
            return Some(Begun::Full);
        }
        session.born = session.born.min(self.head().sequence);
        self.sessions.insert(id, session);
        Some(Begun::Done)
    }

    pub(super) fn session(&self, id: [u8; 32], now: Timestamp) -> Option<Session> {
        let session = self.sessions.get(&id)?;
        let revoked = self.is_revoked(&session.revoked_by(), session.born);
        (now < session.expires_at && !revoked).then(|| session.clone())
    }

    pub(super) fn attempt_in_session(&mut self, id: [u8; 32], now: Timestamp) -> bool {
        let Some(session) = self.session(id, now).filter(|found| found.attempts < session::ATTEMPTS) else {
            return false;
        };
        self.sessions.insert(id, Session { attempts: session.attempts + 1, ..session });
        true
    }

    /// What is revoked goes too: it takes up room, and how much of it there is decides about the quota.
    pub(super) fn forget_users(&mut self, now: Timestamp) {
        let mut enrolments = std::mem::take(&mut self.enrolments);
        enrolments.retain(|_, enrolment| {
            now < enrolment.expires_at
                && !self.is_revoked(&enrolment.grant.revoked_by(), enrolment.grant.born)
        });
        self.enrolments = enrolments;
        let mut sessions = std::mem::take(&mut self.sessions);
        sessions.retain(|_, session| {
            now < session.expires_at && !self.is_revoked(&session.revoked_by(), session.born)
        });
        self.sessions = sessions;
    }
}

//! The model: maps, and a history that is never forgotten. What is dead, it asks the history.

mod elsewhere;
mod leases;

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_proto::ids::{ClientId, GrantId, Sequence, TokenId};
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;

use super::provider_clients::ProviderClients;
use crate::oauth::client::Client;
use crate::oauth::code::Code;
use crate::oauth::enrolment::Enrolment;
use crate::oauth::grant::{AccessToken, Grant};
use crate::oauth::pending::{BrowserId, MOST_IN_A_BROWSER, Pending, StateId};
use crate::oauth::refresh::{Presentation, RefreshToken, Rotation, Stage};
use crate::oauth::session::Session;
use crate::oauth::user_token::{Holder, UserToken};
use crate::store::{Again, Begun, Granted, Issue, Redeemed, Registered, Rotated};

pub(super) struct Memory {
    clients: BTreeMap<ClientId, Client>,
    /// Until when each need not make room.
    busy: BTreeMap<ClientId, Timestamp>,
    pub(super) enrolments: BTreeMap<[u8; 32], Enrolment>,
    pub(super) sessions: BTreeMap<[u8; 32], Session>,
    pub(super) user_tokens: BTreeMap<Holder, UserToken>,
    pub(super) provider_clients: ProviderClients,
    logins: BTreeMap<[u8; 32], Pending>,
    /// With the time that each is kept until.
    pub(super) grants: BTreeMap<GrantId, (Grant, Timestamp)>,
    codes: BTreeMap<TokenId, (Code, Timestamp)>,
    pub(super) access: BTreeMap<TokenId, AccessToken>,
    used: BTreeMap<TokenId, Timestamp>,
    refresh: BTreeMap<TokenId, RefreshToken>,
    latest_access_expiry: Timestamp,
    history: Vec<Entry>,
    /// Before the first entry, and after each.
    positions: Vec<Position>,
    /// How many entries are forgotten.
    base: usize,
}

// === impl Memory ===

impl Memory {
    pub(super) fn new(start: Position) -> Self {
        Self {
            clients: BTreeMap::new(),
            busy: BTreeMap::new(),
            enrolments: BTreeMap::new(),
            sessions: BTreeMap::new(),
            user_tokens: BTreeMap::new(),
            provider_clients: ProviderClients::default(),
            logins: BTreeMap::new(),
            grants: BTreeMap::new(),
            codes: BTreeMap::new(),
            used: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            latest_access_expiry: Timestamp::default(),
            history: Vec::new(),
            positions: vec![start],
            base: 0,
        }
    }

    pub(super) fn register(&mut self, client: Client, quota: usize) -> Registered {
        let known = self.clients.get(&client.id);
        if known.is_some_and(|known| known.unused_until.is_none()) {
            return Registered::Done;
        }
        let unused = self.clients.values().filter(|client| client.unused_until.is_some()).count();
        let mut registered = Registered::Done;
        if known.is_none() && unused >= quota {
            let idle = self.clients.values().filter(|client| !self.busy.contains_key(&client.id));
            let mut idle: Vec<_> =
                idle.filter_map(|client| Some((client.unused_until?, client.id.clone()))).collect();
            idle.sort();
            idle.truncate(unused + 1 - quota);
            if idle.is_empty() {
                return Registered::Full;
            }
            for (_, id) in &idle {
                self.clients.remove(id);
                self.provider_clients.revoke(&Scope::Client(id.clone()));
            }
            registered = Registered::InPlaceOf(idle.len());
        }
        self.clients.insert(client.id.clone(), client);
        registered
    }

    /// Somebody may log in with an unused client.
    pub(super) fn protect(&mut self, id: &ClientId, until: Timestamp) {
        if self.clients.get(id).is_some_and(|client| client.unused_until.is_some()) {
            let until = until.after(Duration::from_mins(1));
            let busy = self.busy.entry(id.clone()).or_default();
            *busy = until.max(*busy);
        }
    }

    pub(super) fn client(&self, id: &ClientId, now: Timestamp) -> Option<Client> {
        self.clients.get(id).filter(|client| !client.is_forgotten(now)).cloned()
    }

    pub(super) fn clients(&self) -> Vec<Client> {
        self.clients.values().cloned().collect()
    }

    pub(super) fn begin(&mut self, state: StateId, pending: Pending, quota: usize) -> Begun {
        let own = self.logins.values().filter(|other| other.browser == pending.browser).count();
        if own >= MOST_IN_A_BROWSER {
            return Begun::TooMany;
        }
        if self.logins.len() >= quota {
            return Begun::Full;
        }
        if let Some(client) = pending.purpose.client() {
            self.protect(client, pending.expires_at);
        }
        let born = Some(self.head().sequence);
        self.logins.insert(state.0, Pending { born, ..pending });
        Begun::Done
    }

    pub(super) fn take_pending(
        &mut self,
        state: StateId,
        browser: BrowserId,
        now: Timestamp,
    ) -> Option<Pending> {
        let pending = self.logins.get(&state.0)?;
        if pending.browser != browser || pending.expires_at <= now {
            return None;
        }
        if pending.born.is_some_and(|born| self.is_revoked(&pending.revoked_by(), born)) {
            return None;
        }
        self.logins.remove(&state.0)
    }

    pub(super) fn grant(&mut self, mut grant: Grant, code_id: TokenId, code: &Code) -> Granted {
        if self.is_revoked(&grant.revoked_by(), grant.born) {
            return Granted::Gone;
        }
        let Some(client) = self.clients.get_mut(&grant.client) else {
            return Granted::Gone;
        };
        if client.is_forgotten(grant.created_at) {
            return Granted::Gone;
        }
        client.unused_until = None;
        grant.born = self.head().sequence;
        self.codes.insert(code_id, (code.clone(), code.expires_at));
        let until = grant.expires_at;
        self.grants.insert(grant.id.clone(), (grant, until));
        Granted::Done
    }

    pub(super) fn code(&self, id: TokenId) -> Option<Code> {
        self.codes.get(&id).map(|(code, _)| code.clone())
    }

    pub(super) fn live_grant(&self, id: &GrantId) -> Option<Grant> {
        let (grant, _) = self.grants.get(id)?;
        (!self.is_revoked(&grant.revoked_by(), grant.born)).then(|| grant.clone())
    }

    /// Whether any of these has been revoked since.
    pub(super) fn is_revoked(&self, scopes: &[Scope], born: Sequence) -> bool {
        self.history.iter().any(|entry| scopes.contains(&entry.scope) && born < entry.sequence)
    }

    pub(super) fn live_grants(&self) -> Vec<Grant> {
        self.grants.keys().filter_map(|id| self.live_grant(id)).collect()
    }

    pub(super) fn redeem(&mut self, id: TokenId, issue: Issue, now: Timestamp) -> Redeemed {
        let Some((code, until)) = self.codes.get_mut(&id) else {
            return Redeemed::Gone;
        };
        let grant = code.grant.clone();
        if code.used {
            let lives = self.live_grant(&grant).is_some();
            return Redeemed::Replayed(lives.then(|| self.revoke(Scope::Grant(grant), now)));
        }
        if code.expires_at <= now {
            return Redeemed::Gone;
        }
        let kept = issue.access.1.expires_at.max(*until);
        if self.live_grant(&grant).is_none() {
            return Redeemed::Gone;
        }
        if let Some((code, until)) = self.codes.get_mut(&id) {
            (code.used, *until) = (true, kept);
        }
        self.issue(&grant, issue);
        Redeemed::Issued
    }

    fn issue(&mut self, grant: &GrantId, issue: Issue) {
        let (access_id, mut access) = issue.access;
        let (refresh_id, refresh) = issue.refresh;
        access.born = self.head().sequence;
        self.latest_access_expiry = self.latest_access_expiry.max(access.expires_at);
        if let Some((grant, until)) = self.grants.get_mut(grant) {
            grant.expires_at = refresh.expires_at;
            *until = (*until).max(refresh.expires_at).max(access.expires_at);
        }
        self.access.insert(access_id, access);
        self.refresh.insert(refresh_id, refresh);
    }

    pub(super) fn refresh_token(&self, id: TokenId) -> Option<RefreshToken> {
        self.refresh.get(&id).cloned()
    }

    pub(super) fn rotate(
        &mut self,
        id: TokenId,
        mut issue: Issue,
        answer: Sealed,
        rotation: Rotation,
        now: Timestamp,
    ) -> Rotated {
        let Some(token) = self.refresh_token(id) else {
            return Rotated::Gone;
        };
        if self.live_grant(&token.grant).is_none() {
            return Rotated::Gone;
        }
        match token.present(now, rotation.grace) {
            Presentation::Expired => Rotated::Gone,
            Presentation::Repeat(answer) => Rotated::Repeated(answer),
            Presentation::Reuse => Rotated::Reused(self.revoke(Scope::Grant(token.grant), now)),
            Presentation::First => {
                let Some(pace) = token.pace.step(now, rotation.limit) else {
                    let given =
                        token.given.and_then(|given| Some((self.access_token(given.access, now)?.0, given)));
                    let good = given.filter(|(access, _)| access.scopes == issue.access.1.scopes);
                    return Rotated::TooSoon(good.map(|(access, given)| Again {
                        answer: given.answer,
                        expires_at: access.expires_at,
                    }));
                };
                issue.refresh.1.pace = pace;
                if let Some(old) = token.predecessor.and_then(|old| self.refresh.get_mut(&old)) {
                    old.stage = Stage::Superseded;
                }
                self.issue(&token.grant, issue);
                self.refresh.insert(
                    id,
                    RefreshToken { stage: Stage::Rotated { at: now, answer }, given: None, ..token },
                );
                Rotated::Issued
            }
        }
    }

    pub(super) fn access_token(&self, id: TokenId, now: Timestamp) -> Option<(AccessToken, Grant)> {
        let token = self.access.get(&id).filter(|token| now < token.expires_at)?;
        if self.history.iter().any(|entry| entry.scope == Scope::Token(id) && token.born < entry.sequence) {
            return None;
        }
        Some((token.clone(), self.live_grant(&token.grant)?))
    }

    pub(super) fn revoke(&mut self, scope: Scope, now: Timestamp) -> Entry {
        let forget_at = self.latest_access_expiry.max(now);
        self.provider_clients.revoke(&scope);
        let entry = Entry { sequence: self.head().sequence.next(), at: now, forget_at, scope };
        self.positions.extend(self.head().after(&entry));
        self.history.push(entry.clone());
        entry
    }

    pub(super) fn head(&self) -> Position {
        self.positions[self.history.len()]
    }

    pub(super) fn base(&self) -> Position {
        self.positions[self.base]
    }

    pub(super) fn positions(&self) -> &[Position] {
        &self.positions
    }

    pub(super) fn entries_after(&self, position: &Position) -> Option<Vec<Entry>> {
        let at = self.positions.iter().position(|known| known == position)?;
        (at >= self.base).then(|| self.history[at..].to_vec())
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.clients.retain(|_, client| !client.is_forgotten(now));
        self.busy.retain(|_, until| *until > now);
        self.provider_clients.sweep(|client| self.clients.contains_key(client), now);
        let mut logins = std::mem::take(&mut self.logins);
        logins.retain(|_, pending| {
            let born = pending.born;
            pending.expires_at > now && !born.is_some_and(|born| self.is_revoked(&pending.revoked_by(), born))
        });
        self.logins = logins;
        self.forget_users(now);
        self.grants.retain(|_, (_, until)| *until > now);
        let mut codes = std::mem::take(&mut self.codes);
        for (code, until) in codes.values_mut().filter(|(code, until)| code.used && *until <= now) {
            if self.live_grant(&code.grant).is_some() {
                *until = self.grants[&code.grant].1;
            }
        }
        codes.retain(|_, (_, until)| *until > now);
        self.codes = codes;
        self.access.retain(|_, token| token.expires_at > now);
        self.refresh.retain(|_, token| token.expires_at > now);
        self.used.retain(|_, until| *until > now);
        let past = self.history[self.base..].iter().take_while(|entry| entry.forget_at <= now).count();
        self.base += past;
    }
}

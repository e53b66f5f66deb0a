//! The embedded store: one sled tree, written by one thread, read by everybody.
//!
//! Reads go to the tree at once: a look-up takes microseconds. They may see what is applied but not yet
//! durable; of such rows only their writer can know the keys, and it has no answer yet. The log is what
//! others can see, so that is read up to its durable head only.

mod clients;
mod committer;
mod enrolments;
mod holders;
mod keys;
mod lease;
mod log;
mod logins;
mod mark;
mod open;
mod owned;
mod provider_clients;
mod revocation;
mod rows;
mod sessions;
mod sweep;
mod tables;
mod tokens;
mod tx;
mod users;
mod wrapped;

#[cfg(test)]
mod tests;

use std::path::Path;

use ::sled::{Db, Tree};
use async_trait::async_trait;
use portcullis_proto::ids::{ClientId, GrantId, TokenId};
use portcullis_proto::random::Random;
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;
use tokio::sync::watch;

use self::committer::{Committer, MakeDurable};
use self::keys::{Key, Meta};
use self::rows::{Read, backend};
use self::tx::Tx;
use super::lease::{Lease, Leasing};
use super::{Begun, Granted, Issue, Occupied, Redeemed, Registered, Rotated, Store, StoreError, Vacancy};
use crate::oauth::client::Client;
use crate::oauth::code::Code;
use crate::oauth::grant::{AccessToken, Grant, Upstream};
use crate::oauth::pending::{BrowserId, Pending, StateId};
use crate::oauth::provider_client::{ProviderClient, ProviderClientId, Slot};
use crate::oauth::refresh::{RefreshToken, Rotation};

pub use self::open::OpenError;

/// The store in one directory. Dropping it waits for the writes that it has accepted.
pub struct SledStore {
    committer: Committer,
    db: Db,
}

// === impl SledStore ===

impl SledStore {
    /// Opens the store, or creates it (mode 0700) with a new revocation log. Waits up to a second for another
    /// process to let go of it.
    pub fn open(path: &Path, random: &dyn Random) -> Result<Self, OpenError> {
        Self::open_with(path, random, |make_durable| make_durable)
    }

    /// The same, with something around what makes writes durable.
    pub(crate) fn open_with(
        path: &Path,
        random: &dyn Random,
        wrap: impl FnOnce(MakeDurable) -> MakeDurable,
    ) -> Result<Self, OpenError> {
        let (db, make_durable) = open::open(path, random)?;
        let head = log::head(&*db).map_err(|source| OpenError::Store { path: path.to_owned(), source })?;
        let committer = Committer::start(path, Tree::clone(&db), head, wrap(make_durable))
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Self { committer, db })
    }

    /// The tree, for reading.
    fn tree(&self) -> Result<&Tree, StoreError> {
        self.committer.check_open()?;
        Ok(&self.db)
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SledStore {
    async fn register(&self, client: Client, quota: usize) -> Result<Registered, StoreError> {
        self.committer.submit(move |tx| clients::register(tx, &client, quota)).await
    }

    async fn client(&self, id: &ClientId, now: Timestamp) -> Result<Option<Client>, StoreError> {
        let client = self.tree()?.kept::<Client>(&Key::client(id))?.map(|kept| kept.row);
        Ok(client.filter(|client| !client.is_forgotten(now)))
    }

    async fn remember(&self, record: Client) -> Result<(), StoreError> {
        self.committer.submit(move |tx| clients::remember(tx, record)).await
    }

    async fn clients(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<Client>, StoreError> {
        clients::list(self.tree()?, after, limit)
    }

    async fn use_once(&self, id: TokenId, until: Timestamp) -> Result<bool, StoreError> {
        self.committer.submit(move |tx| clients::use_once(tx, &id, until)).await
    }

    async fn vacancy(&self, slot: &Slot, quota: usize, now: Timestamp) -> Result<Vacancy, StoreError> {
        provider_clients::vacancy(self.tree()?, slot, quota, now)
    }

    async fn keep_provider_client(
        &self,
        new: ProviderClient,
        quota: usize,
        now: Timestamp,
    ) -> Result<Occupied, StoreError> {
        self.committer.submit(move |tx| provider_clients::keep(tx, &new, quota, now)).await
    }

    async fn provider_client(
        &self,
        client: &ClientId,
        id: &ProviderClientId,
    ) -> Result<Option<ProviderClient>, StoreError> {
        Ok(self.tree()?.kept(&Key::provider_client(client, id))?.map(|kept| kept.row))
    }

    async fn forget_provider_client(
        &self,
        client: &ClientId,
        id: &ProviderClientId,
    ) -> Result<bool, StoreError> {
        let (client, id) = (client.clone(), id.clone());
        self.committer.submit(move |tx| provider_clients::forget(tx, &client, &id)).await
    }

    async fn begin(&self, state: StateId, pending: Pending, quota: usize) -> Result<Begun, StoreError> {
        self.committer.submit(move |tx| logins::begin(tx, &state, &pending, quota)).await
    }

    async fn take_pending(
        &self,
        state: &StateId,
        browser: &BrowserId,
        now: Timestamp,
    ) -> Result<Option<Pending>, StoreError> {
        let (state, browser) = (*state, *browser);
        self.committer.submit(move |tx| logins::take(tx, &state, &browser, now)).await
    }

    async fn grant(&self, grant: Grant, code_id: TokenId, code: Code) -> Result<Granted, StoreError> {
        self.committer.submit(move |tx| tokens::grant(tx, grant, &code_id, &code)).await
    }

    async fn code(&self, id: &TokenId) -> Result<Option<Code>, StoreError> {
        Ok(self.tree()?.kept(&Key::code(id))?.map(|kept| kept.row))
    }

    async fn live_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        Ok(revocation::live(self.tree()?, id)?.map(|kept| kept.row))
    }

    async fn grants(&self, after: Option<&GrantId>, limit: usize) -> Result<Vec<Grant>, StoreError> {
        let (tree, after) = (self.tree()?.clone(), after.cloned());
        // There may be many dead ones to pass over.
        let list = move || revocation::live_grants(&tree, after.as_ref(), limit);
        tokio::task::spawn_blocking(list).await.map_err(backend)?
    }

    async fn redeem(&self, code: &TokenId, issue: Issue, now: Timestamp) -> Result<Redeemed, StoreError> {
        let code = *code;
        self.committer.submit(move |tx| tokens::redeem(tx, &code, issue, now)).await
    }

    async fn refresh_token(&self, id: &TokenId) -> Result<Option<RefreshToken>, StoreError> {
        Ok(self.tree()?.kept(&Key::refresh(id))?.map(|kept| kept.row))
    }

    async fn rotate(
        &self,
        presented: &TokenId,
        issue: Issue,
        answer: Sealed,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        let presented = *presented;
        self.committer.submit(move |tx| tokens::rotate(tx, &presented, issue, answer, rotation, now)).await
    }

    async fn access_token(
        &self,
        id: &TokenId,
        now: Timestamp,
    ) -> Result<Option<(AccessToken, Grant)>, StoreError> {
        tokens::access_token(self.tree()?, id, now)
    }

    async fn lease(
        &self,
        grant: &GrantId,
        version: u64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Leasing, StoreError> {
        let grant = grant.clone();
        self.committer.submit(move |tx| lease::take(tx, grant, version, now, until)).await
    }

    async fn update_upstream(&self, lease: Lease, upstream: Upstream) -> Result<bool, StoreError> {
        self.committer.submit(move |tx| lease::update_upstream(tx, &lease, upstream)).await
    }

    async fn keep_upstream(
        &self,
        lease: Lease,
        upstream: Upstream,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        self.committer.submit(move |tx| lease::keep_upstream(tx, lease, upstream, until)).await
    }

    async fn defer(&self, lease: Lease, until: Timestamp) -> Result<bool, StoreError> {
        self.committer.submit(move |tx| lease::defer(tx, &lease, until)).await
    }

    async fn revoke_leased(&self, lease: Lease, now: Timestamp) -> Result<Option<Entry>, StoreError> {
        self.committer.submit(move |tx| lease::revoke(tx, lease, now)).await
    }

    async fn revoke(&self, scope: Scope, now: Timestamp) -> Result<Entry, StoreError> {
        self.committer.submit(move |tx| revocation::revoke(tx, scope, now)).await
    }

    async fn settled(&self) -> Result<(), StoreError> {
        // Its turn comes behind all that was written before.
        self.committer.submit(|_| Ok(())).await
    }

    async fn begin_work(
        &self,
        mark: TokenId,
        now: Timestamp,
        access_until: Timestamp,
    ) -> Result<Entry, StoreError> {
        let begin = move |tx: &mut Tx<'_>| {
            log::issued(tx, access_until)?;
            log::append(tx, Scope::Token(mark), now)
        };
        self.committer.submit(begin).await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.committer.head().clone()
    }

    async fn entries_after(
        &self,
        position: &Position,
        limit: usize,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let head = *self.committer.head().borrow();
        log::entries_after(self.tree()?, head, position, limit)
    }

    async fn base(&self) -> Result<Position, StoreError> {
        log::base(self.tree()?)
    }

    async fn swept_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.tree()?.row(&Key::meta(Meta::SweptAt))
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.committer.submit(move |tx| sweep::sweep(tx, now, limit)).await
    }
}

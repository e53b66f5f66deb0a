//! The part of the store that is about users.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_proto::ids::{ProviderName, ServerName, Subject};
use portcullis_proto::revocation::Entry;
use portcullis_proto::time::Timestamp;

use super::enrolments::Step;
use super::keys::Key;
use super::rows::{Read, backend};
use super::tx::Tx;
use super::{SledStore, enrolments, owned, sessions};
use crate::oauth::enrolment::{Enrolment, EnrolmentId};
use crate::oauth::grant::Grant;
use crate::oauth::pending::BrowserId;
use crate::oauth::session::{Session, SessionId};
use crate::oauth::user_token::{Holder, UserToken};
use crate::store::{Begun, Enrolled, Finish, StoreError, UserStore};

impl SledStore {
    /// Runs an operation step by step, with those of others between. Gives what the steps before the last have revoked.
    async fn in_steps<T: Send + 'static>(
        &self,
        operation: impl Fn(&mut Tx<'_>) -> Result<Step<T>, StoreError> + Send + Sync + 'static,
    ) -> Result<(Vec<Entry>, T), StoreError> {
        let operation = Arc::new(operation);
        let mut revoked = Vec::new();
        loop {
            let step = Arc::clone(&operation);
            match self.committer.submit(move |tx| step(tx)).await? {
                Step::More(some) => revoked.extend(some),
                Step::Done(last) => return Ok((revoked, last)),
            }
        }
    }
}

#[async_trait]
impl UserStore for SledStore {
    async fn enrol(
        &self,
        id: EnrolmentId,
        enrolment: Enrolment,
        quota: usize,
    ) -> Result<Option<Begun>, StoreError> {
        self.committer.submit(move |tx| enrolments::enrol(tx, &id, enrolment, quota)).await
    }

    async fn attempt(
        &self,
        id: &EnrolmentId,
        browser: &BrowserId,
        now: Timestamp,
    ) -> Result<Option<Enrolment>, StoreError> {
        let (id, browser) = (*id, *browser);
        self.committer.submit(move |tx| enrolments::attempt(tx, &id, &browser, now)).await
    }

    async fn take_enrolment(
        &self,
        id: &EnrolmentId,
        browser: &BrowserId,
        now: Timestamp,
    ) -> Result<Option<Enrolment>, StoreError> {
        let (id, browser) = (*id, *browser);
        self.committer.submit(move |tx| enrolments::take(tx, &id, &browser, now)).await
    }

    async fn finish_enrolment(
        &self,
        id: &EnrolmentId,
        browser: &BrowserId,
        finish: Finish,
        now: Timestamp,
    ) -> Result<Enrolled, StoreError> {
        let (id, browser) = (*id, *browser);
        let finish = move |tx: &mut Tx<'_>| enrolments::finish(tx, &id, &browser, finish.clone(), now);
        let (before, enrolled) = self.in_steps(finish).await?;
        Ok(match enrolled {
            Enrolled::Done(last) => Enrolled::Done([before, last].concat()),
            Enrolled::Gone => Enrolled::Gone,
        })
    }

    async fn user_token(&self, holder: &Holder) -> Result<Option<UserToken>, StoreError> {
        self.tree()?.row(&Key::user_token(holder))
    }

    async fn replace_user_token(
        &self,
        holder: &Holder,
        token: UserToken,
        now: Timestamp,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let holder = holder.clone();
        let replace = move |tx: &mut Tx<'_>| enrolments::replace_token(tx, &holder, &token, now);
        let (before, replaced) = self.in_steps(replace).await?;
        Ok(replaced.map(|last| [before, last].concat()))
    }

    async fn remove_user_token(&self, holder: &Holder, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let holder = holder.clone();
        let remove = move |tx: &mut Tx<'_>| enrolments::remove_token(tx, &holder, now);
        let (before, last) = self.in_steps(remove).await?;
        Ok([before, last].concat())
    }

    async fn grants_of(
        &self,
        provider: &ProviderName,
        subject: &Subject,
        servers: &[ServerName],
        limit: usize,
    ) -> Result<Vec<Grant>, StoreError> {
        let (tree, servers) = (self.tree()?.clone(), servers.to_vec());
        let (provider, subject) = (provider.clone(), subject.clone());
        let list = move || owned::live_grants(&tree, &provider, &subject, &servers, limit);
        tokio::task::spawn_blocking(list).await.map_err(backend)?
    }

    async fn open_session(
        &self,
        id: SessionId,
        session: Session,
        quota: usize,
    ) -> Result<Option<Begun>, StoreError> {
        self.committer.submit(move |tx| sessions::open(tx, &id, session, quota)).await
    }

    async fn session(&self, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        sessions::get(self.tree()?, id, now)
    }

    async fn attempt_in_session(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let id = *id;
        self.committer.submit(move |tx| sessions::attempt(tx, &id, now)).await
    }

    async fn end_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let id = *id;
        self.committer.submit(move |tx| sessions::end(tx, &id)).await
    }
}

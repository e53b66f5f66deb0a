//! The part of the store that is about users.

use async_trait::async_trait;
use portcullis_proto::ids::{ProviderName, ServerName, Subject};
use portcullis_proto::revocation::Entry;
use portcullis_proto::time::Timestamp;

use super::keys::Key;
use super::rows::{Read, backend};
use super::{SledStore, enrolments, owned, sessions};
use crate::oauth::enrolment::{Enrolment, EnrolmentId};
use crate::oauth::grant::Grant;
use crate::oauth::pending::BrowserId;
use crate::oauth::session::{Session, SessionId};
use crate::oauth::user_token::{Holder, UserToken};
use crate::store::{Begun, Enrolled, Finish, StoreError, UserStore};

#[async_trait]
impl UserStore for SledStore {
    async fn enrol(&self, id: EnrolmentId, enrolment: Enrolment, quota: usize) -> Result<Begun, StoreError> {
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
        self.committer.submit(move |tx| enrolments::finish(tx, &id, &browser, finish, now)).await
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
        self.committer.submit(move |tx| enrolments::replace_token(tx, &holder, &token, now)).await
    }

    async fn remove_user_token(&self, holder: &Holder, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let holder = holder.clone();
        self.committer.submit(move |tx| enrolments::remove_token(tx, &holder, now)).await
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

    async fn open_session(&self, id: SessionId, session: Session, quota: usize) -> Result<Begun, StoreError> {
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

//! What is kept for users themselves: logins that wait for a token of theirs, these tokens, and their sessions on
//! the account page.

use async_trait::async_trait;
use portcullis_proto::ids::{ProviderName, ServerName, Subject, TokenId};
use portcullis_proto::revocation::Entry;
use portcullis_proto::time::Timestamp;

use super::{Begun, StoreError};
use crate::oauth::code::Code;
use crate::oauth::enrolment::{Enrolment, EnrolmentId};
use crate::oauth::grant::Grant;
use crate::oauth::pending::BrowserId;
use crate::oauth::session::{Session, SessionId};
use crate::oauth::user_token::{Holder, UserToken};

/// The part of the store that is about users.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    // --- logins that wait for a token of the user's own ---

    /// Keeps an enrolment (its grant's `born` set to the log's head where that is less), unless `quota` of them are there
    /// already, or [so many](crate::oauth::enrolment::MOST_OF_A_USER) of its user. `None` where what it is to become has been
    /// revoked since its `born`, or that cannot be told any more.
    async fn enrol(
        &self,
        id: EnrolmentId,
        enrolment: Enrolment,
        quota: usize,
    ) -> Result<Option<Begun>, StoreError>;

    /// Counts one more token that is going to be tried, and hands out the enrolment with that counted: to its own
    /// browser, in time, and where nothing has revoked what it will become. Where there have been enough
    /// attempts, the enrolment is over and is removed.
    async fn attempt(
        &self,
        id: &EnrolmentId,
        browser: &BrowserId,
        now: Timestamp,
    ) -> Result<Option<Enrolment>, StoreError>;

    /// Ends an enrolment without a grant, and hands it out, once, under the same conditions.
    async fn take_enrolment(
        &self,
        id: &EnrolmentId,
        browser: &BrowserId,
        now: Timestamp,
    ) -> Result<Option<Enrolment>, StoreError>;

    /// Makes a grant of an enrolment, once, under the same conditions: keeps grant and code as
    /// [`Store::grant`](super::Store::grant) does and the user's token, and removes the enrolment. Where there was a
    /// token already, it is replaced as by [`replace_user_token`](Self::replace_user_token).
    async fn finish_enrolment(
        &self,
        id: &EnrolmentId,
        browser: &BrowserId,
        finish: Finish,
        now: Timestamp,
    ) -> Result<Enrolled, StoreError>;

    // --- tokens of users' own ---

    /// The token that a user has given for a server.
    async fn user_token(&self, holder: &Holder) -> Result<Option<UserToken>, StoreError>;

    /// Replaces a token, where there is one, and revokes every live access token of the user's grants at that
    /// server, so that no instance goes on with the old one. Refresh tokens live on. Where there are very many, other
    /// writes may come between the revocations; the token is replaced together with the last of them. Gives the log's
    /// entries, or `None` where there was nothing to replace.
    async fn replace_user_token(
        &self,
        holder: &Holder,
        token: UserToken,
        now: Timestamp,
    ) -> Result<Option<Vec<Entry>>, StoreError>;

    /// Removes a token, and revokes the user's grants at that server, which are worth nothing without. Where
    /// there are very many, as for a replacement. Gives the log's entries.
    async fn remove_user_token(&self, holder: &Holder, now: Timestamp) -> Result<Vec<Entry>, StoreError>;

    /// A user's live grants at any of these servers, in the order of their ids; at most `limit`.
    async fn grants_of(
        &self,
        provider: &ProviderName,
        subject: &Subject,
        servers: &[ServerName],
        limit: usize,
    ) -> Result<Vec<Grant>, StoreError>;

    // --- sessions on the account page ---

    /// Keeps a session (its `born` set to the log's head where that is less), unless `quota` of them are there already, or
    /// [so many](crate::oauth::session::MOST_OF_A_USER) of its user. `None` where it has been revoked since its `born`, or that
    /// cannot be told any more.
    async fn open_session(
        &self,
        id: SessionId,
        session: Session,
        quota: usize,
    ) -> Result<Option<Begun>, StoreError>;

    /// A session that is not over and that nothing has revoked.
    async fn session(&self, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError>;

    /// Counts one more token that is going to be tried, and tells whether it may be. Not where the session is over,
    /// or there have been enough attempts in it.
    async fn attempt_in_session(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError>;

    /// Ends a session.
    async fn end_session(&self, id: &SessionId) -> Result<(), StoreError>;
}

/// What an accepted token makes of an enrolment.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The enrolment's grant, with its times.
    pub grant: Grant,
    /// The code's id and row.
    pub code: (TokenId, Code),
    /// The user's token.
    pub token: UserToken,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The code is good. With the entries of the access tokens that had the token before.
    Done(Vec<Entry>),
    /// There is no such enrolment any more, or its client is not there.
    Gone,
}

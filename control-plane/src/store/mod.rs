//! Everything that must outlive the process. Each method is one conditional write or one read: what
//! "already used", "still valid" and "first" mean is decided here, never by a caller that has looked before.
//!
//! An answer is given only when the write is durable.

mod error;
pub mod lease;
pub mod sled;
pub mod user;
mod vacancy;
mod wrapped;

#[cfg(test)]
pub(crate) mod contract;

use async_trait::async_trait;
use portcullis_proto::ids::{ClientId, GrantId, TokenId};
use portcullis_proto::revocation::{Entry, Position, Scope};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;
use tokio::sync::watch;

pub use self::error::StoreError;
use self::lease::{Lease, Leasing};
pub use self::user::{Enrolled, Finish, UserStore};
pub use self::vacancy::{Occupied, Vacancy};
pub use self::wrapped::{WrappedRow, WrappedStore};
use crate::oauth::client::Client;
use crate::oauth::code::Code;
use crate::oauth::grant::{AccessToken, Grant, Upstream};
use crate::oauth::pending::{BrowserId, Pending, StateId};
use crate::oauth::provider_client::{ProviderClient, ProviderClientId, Slot};
use crate::oauth::refresh::{RefreshToken, Rotation};

/// The control plane's memory.
#[async_trait]
pub trait Store: UserStore + WrappedStore + Send + Sync + 'static {
    // --- clients ---

    /// Keeps a new client. Where `quota` clients that nobody has logged in with are there already, those are forgotten in
    /// its place whose `unused_until` is next; not one that somebody may be about to log in with: one that a
    /// [login](Self::begin) or [enrolment](UserStore::enrol) is for, up to a minute after its time. Where there are only
    /// such ones it is not kept. One that is there and that nobody has logged in with is replaced, and counts once; any
    /// other stays as it is.
    async fn register(&self, client: Client, quota: usize) -> Result<Registered, StoreError>;

    /// A client that has not been forgotten.
    async fn client(&self, id: &ClientId, now: Timestamp) -> Result<Option<Client>, StoreError>;

    /// Keeps a record of a client that is described elsewhere ([`Client::record`]), in the place of any other by the same
    /// id, whose `created_at` it takes over. It counts in no quota, and is there for good.
    async fn remember(&self, record: Client) -> Result<(), StoreError>;

    /// Clients in the order of their ids, from the first after `after`.
    async fn clients(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<Client>, StoreError>;

    /// Uses up what is good once, such as a client's assertion. Tells whether it was the first time; that is remembered
    /// until `until`.
    async fn use_once(&self, id: TokenId, until: Timestamp) -> Result<bool, StoreError>;

    // --- clients at providers ---

    /// Whether a provider client is there that [serves](ProviderClient::serves) the slot, or else room for one.
    async fn vacancy(&self, slot: &Slot, quota: usize, now: Timestamp) -> Result<Vacancy, StoreError>;

    /// Keeps a provider client, unless one is there that serves its slot, `quota` of them are there already, or its
    /// MCP client is not there or forgotten. Revoking that client, or forgetting it, removes its provider clients.
    async fn keep_provider_client(
        &self,
        new: ProviderClient,
        quota: usize,
        now: Timestamp,
    ) -> Result<Occupied, StoreError>;

    /// A provider client of an MCP client, whether or not it still serves its slot.
    async fn provider_client(
        &self,
        client: &ClientId,
        id: &ProviderClientId,
    ) -> Result<Option<ProviderClient>, StoreError>;

    /// Removes a provider client. Tells whether it was there.
    async fn forget_provider_client(
        &self,
        client: &ClientId,
        id: &ProviderClientId,
    ) -> Result<bool, StoreError>;

    // --- logins under way ---

    /// Keeps an approved login (its `born` set to the log's head), unless `quota` of them are there already, or
    /// [so many](crate::oauth::pending::MOST_IN_A_BROWSER) of its browser.
    async fn begin(&self, state: StateId, pending: Pending, quota: usize) -> Result<Begun, StoreError>;

    /// Hands the login out, once: to the browser that approved it, and not after its time or a
    /// revocation of what it is for. Another browser, or a late one, gets nothing, and the first of these changes nothing.
    async fn take_pending(
        &self,
        state: &StateId,
        browser: &BrowserId,
        now: Timestamp,
    ) -> Result<Option<Pending>, StoreError>;

    // --- grants and tokens ---

    /// Keeps a grant (its `born` set to the log's head) together with the code that stands for it under the
    /// code's id, and marks the client as used. Answers `Gone` where the client is not there, or was
    /// forgotten by the grant's `created_at`, and where the grant has been revoked since it was `born`: since the
    /// provider was asked. A client that was revoked before may be granted anew.
    async fn grant(&self, grant: Grant, code_id: TokenId, code: Code) -> Result<Granted, StoreError>;

    /// A code, used or not, where it is still kept.
    async fn code(&self, id: &TokenId) -> Result<Option<Code>, StoreError>;

    /// A grant that nothing has revoked.
    async fn live_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError>;

    /// Live grants in the order of their ids, from the first after `after`.
    async fn grants(&self, after: Option<&GrantId>, limit: usize) -> Result<Vec<Grant>, StoreError>;

    /// Uses a code up and keeps the tokens that it brings (`born` set to the log's head; the grant's
    /// `expires_at` set to the refresh token's). A code that is already used revokes its grant.
    async fn redeem(&self, code: &TokenId, issue: Issue, now: Timestamp) -> Result<Redeemed, StoreError>;

    /// A refresh token in whatever stage.
    async fn refresh_token(&self, id: &TokenId) -> Result<Option<RefreshToken>, StoreError>;

    /// Rotates a refresh token: what presenting it means is
    /// [`RefreshToken::present`](crate::oauth::refresh::RefreshToken::present), decided on the stored
    /// value. On first use the new tokens are kept (as in [`redeem`](Self::redeem)), the token becomes
    /// `Rotated` with the answer, and its predecessor `Superseded`. Reuse revokes the grant. Where rotations come too
    /// fast, nothing is written: the answer that brought the token is given again, as long as its access token is good
    /// and has the scopes of the offered one.
    async fn rotate(
        &self,
        presented: &TokenId,
        issue: Issue,
        answer: Sealed,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<Rotated, StoreError>;

    /// An unexpired access token and its grant, where nothing has revoked either.
    async fn access_token(
        &self,
        id: &TokenId,
        now: Timestamp,
    ) -> Result<Option<(AccessToken, Grant)>, StoreError>;

    // --- renewing what the provider gave ---

    /// Takes the lease on replacing `version` of what the provider gave: where the grant lives, that is
    /// still the stored version, nobody else's lease is in force and no pause after a failure. It runs out
    /// at `until` where nobody ends it.
    async fn lease(
        &self,
        grant: &GrantId,
        version: u64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Leasing, StoreError>;

    /// Replaces what the provider gave, where the stored version is still the leased one and the grant lives
    /// (its `version` set to the next, its `renewal` to none). Tells whether it did.
    ///
    /// A lease that has run out still counts, even where it has been taken over, until the successor's result is
    /// there: the provider may have used the old refresh token up for the answer that is offered here.
    async fn update_upstream(&self, lease: Lease, upstream: Upstream) -> Result<bool, StoreError>;

    /// Replaces what the provider gave as [`update_upstream`](Self::update_upstream) does, and under the same
    /// conditions, but holds on to the lease: what was given is safe, and not yet the result. Gives the lease on
    /// the new version, which runs out at `until`; the attempts are not counted anew. `None` where nothing was
    /// replaced.
    async fn keep_upstream(
        &self,
        lease: Lease,
        upstream: Upstream,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError>;

    /// Ends the lease after a failure: nobody gets the next before `until`. Changes nothing where the lease has
    /// been taken over. Tells whether it did.
    async fn defer(&self, lease: Lease, until: Timestamp) -> Result<bool, StoreError>;

    /// Revokes the grant because its provider has ended it. Changes nothing where the lease has been
    /// taken over: what the provider says of a refresh token that is used up says nothing of its successor.
    async fn revoke_leased(&self, lease: Lease, now: Timestamp) -> Result<Option<Entry>, StoreError>;

    // --- revocation ---

    /// Appends to the revocation log, and makes what the scope names dead here. Idempotent in effect;
    /// every call appends. The entry's `forget_at` is the latest expiry of any access token ever issued,
    /// or `now` where that is past.
    async fn revoke(&self, scope: Scope, now: Timestamp) -> Result<Entry, StoreError>;

    /// Waits until everything that a reader may have seen by now is durable. Readers see a write a moment before
    /// it is: whoever promises that something is dead because they found it dead must wait for this.
    async fn settled(&self) -> Result<(), StoreError>;

    /// Notes that a process has begun to work with this store. Appends an entry for `mark`, a token that nobody
    /// has, and takes it that access tokens may live until `access_until` which this store does not know of.
    ///
    /// A store may be a copy: restored from a backup while authz instances follow the log as it went on, and hold
    /// tokens that the copy has never seen. The mark makes the copy's log another one than theirs, so that they
    /// start over; where one had no more of the log than the copy has, entries last long enough for what it holds.
    async fn begin_work(
        &self,
        mark: TokenId,
        now: Timestamp,
        access_until: Timestamp,
    ) -> Result<Entry, StoreError>;

    /// The log's head, as it moves.
    fn head(&self) -> watch::Receiver<Position>;

    /// The log from `position` on, at most `limit` entries; `None` where this log never had that position, or
    /// has forgotten what follows it.
    async fn entries_after(
        &self,
        position: &Position,
        limit: usize,
    ) -> Result<Option<Vec<Entry>>, StoreError>;

    /// The oldest position from which the log can still be followed.
    async fn base(&self) -> Result<Position, StoreError>;

    // --- upkeep ---

    /// Removes up to about `limit` rows that can mean nothing any more: unused clients with their provider clients,
    /// provider clients whose secret has expired, logins, enrolments, sessions, codes, tokens and grants past their
    /// time, whatever of these a wide revocation has ended, and log entries past their `forget_at`. Tells how many.
    /// Notes `now`, to the minute.
    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// The time that sweeps have noted; `None` before the first.
    async fn swept_at(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// What a successful token request leaves in the store.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The access token's id and row.
    pub access: (TokenId, AccessToken),
    /// The refresh token's id and row.
    pub refresh: (TokenId, RefreshToken),
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is kept.
    Done,
    /// It is kept, and so many that nobody had used are forgotten.
    InPlaceOf(usize),
    /// There are too many that nobody has used yet and somebody may be about to.
    Full,
}

/// What became of something that does not last long: a login, an enrolment, a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is kept.
    Done,
    /// There are too many of its kind.
    Full,
    /// There are too many of its kind that the same browser or user has.
    TooMany,
}

/// What became of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// It is kept.
    Done,
    /// The client is not there any more.
    Gone,
}

/// What became of a redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The tokens are good.
    Issued,
    /// The code was used before; the grant has been revoked, now or earlier.
    Replayed(Option<Entry>),
    /// There is no such code, it has expired, or its grant has been revoked.
    Gone,
}

/// An answer that is given again, for the refresh token that it brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The answer, sealed under a key that the refresh token's holder has.
    pub answer: Sealed,
    /// When its access token expires.
    pub expires_at: Timestamp,
}

/// What became of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The new tokens are good.
    Issued,
    /// The first answer again; the tokens offered with this call are not kept.
    Repeated(Sealed),
    /// It is too early for new tokens; the token stays good.
    TooSoon(Option<Again>),
    /// The token was used before; the grant has been revoked.
    Reused(Entry),
    /// There is no such token, it has expired, or its grant has been revoked.
    Gone,
}

//! The part of the store that is about master keys: what is sealed under which.

use std::borrow::Cow;

use async_trait::async_trait;
use portcullis_proto::ids::{ClientId, GrantId};
use portcullis_proto::seal::{Field, KeyOwner, Owner};

use super::StoreError;
use crate::keys::Wrapped;
use crate::oauth::enrolment::EnrolmentId;
use crate::oauth::provider_client::ProviderClientId;
use crate::oauth::user_token::Holder;

/// Rows that have something sealed under a master key: all of them, whether or not they still mean anything, as long as
/// they are there. Whoever forgets a key forgets what they have.
#[async_trait]
pub trait WrappedStore {
    /// These rows with what they have, in an order of the store's own, from the first after `after`. Rows that are
    /// added meanwhile may be missing.
    async fn wrapped(
        &self,
        after: Option<&WrappedRow>,
        limit: usize,
    ) -> Result<Vec<(WrappedRow, Wrapped)>, StoreError>;

    /// Puts `to` in the place of `from`. Changes nothing where the row has something else by now, or is gone. Tells
    /// whether it did.
    async fn rewrap(&self, row: WrappedRow, from: Wrapped, to: Wrapped) -> Result<bool, StoreError>;
}

/// Which row it is, and so what is sealed there and for whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrappedRow {
    /// A provider client's secret.
    ProviderClient {
        /// The MCP client that it acts for.
        client: ClientId,
        /// Its own id.
        id: ProviderClientId,
    },
    /// The data key of a grant that waits for a token of the user's own.
    Enrolment {
        /// The enrolment.
        id: EnrolmentId,
        /// What it will become.
        grant: GrantId,
    },
    /// A grant's data key.
    Grant(GrantId),
    /// The data key of a token of the user's own.
    UserToken(Holder),
}

// === impl WrappedRow ===

impl WrappedRow {
    /// What is sealed there.
    pub const fn field(&self) -> Field {
        match self {
            Self::ProviderClient { .. } => Field::ProviderClientSecret,
            Self::Enrolment { .. } | Self::Grant(_) => GrantId::DATA_KEY,
            Self::UserToken(_) => Holder::DATA_KEY,
        }
    }
}

impl Owner for WrappedRow {
    fn name(&self) -> Cow<'_, [u8]> {
        match self {
            Self::ProviderClient { id, .. } => id.name(),
            Self::Enrolment { grant, .. } | Self::Grant(grant) => grant.name(),
            Self::UserToken(holder) => holder.name(),
        }
    }
}

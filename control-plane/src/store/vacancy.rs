//! What the store says about the slots of provider clients.

use crate::oauth::provider_client::ProviderClient;

/// Whether a slot has its provider client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vacancy {
    /// This one serves it.
    Taken(Box<ProviderClient>),
    /// None does.
    Free,
    /// None does, and there are too many of other slots.
    Full,
}

/// What became of a provider client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occupied {
    /// It is kept.
    Done,
    /// It is not, since this one serves the slot.
    Taken(Box<ProviderClient>),
    /// Its MCP client is not there any more.
    Gone,
    /// There are too many.
    Full,
}

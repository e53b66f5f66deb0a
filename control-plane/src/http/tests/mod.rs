//! The OAuth surface without a network: the real router over the real store, with a clock that tests move and
//! a provider that says what they tell it to. One file an endpoint; [`harness`], [`login`],
//! [`answer`], [`log`], [`provider`], [`checker`] and [`web`] are what they stand on.

pub(crate) mod answer;
pub(crate) mod checker;
pub(crate) mod harness;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod provider;
pub(crate) mod web;

mod account;
mod authorize;
mod browser;
mod callback;
mod consent;
mod destination;
mod documents;
mod issuers;
mod malformed;
mod metadata;
mod page;
mod preregistered;
mod private_key_jwt;
mod refresh;
mod register;
mod revoke;
mod router;
mod server_choice;
mod sessions;
mod story;
mod token;
mod user_token;

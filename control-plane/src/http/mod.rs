//! The OAuth surface and its pages: one endpoint, one file. [`router`] has every route on one page.

pub mod account;
pub mod authorize;
pub mod browser;
pub mod callback;
pub mod client;
pub mod consent;
mod cookie;
mod destination;
pub mod edge_listener;
pub mod extract;
pub mod grant;
pub mod login;
pub mod metadata;
pub mod openapi;
pub mod ops;
pub mod page;
pub mod provider_client;
pub mod register;
pub mod respond;
pub mod revoke;
pub mod router;
pub mod server_choice;
pub mod token;
pub mod user_token;

#[cfg(test)]
pub(crate) mod tests;

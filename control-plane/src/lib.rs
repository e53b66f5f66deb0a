//! Portcullis's control plane: the OAuth surface, and the owner of every grant, token, client and key.
//!
//! # A login, from the outside in
//!
//! [`http`] has one file an endpoint. An MCP client reads [`http::metadata`], registers at
//! [`http::register`] and opens [`http::authorize`] in the user's browser: a page of ours asks for consent,
//! [`http::consent`] stores what was approved and sends the browser to the provider, [`http::callback`]
//! exchanges the provider's code, stores a grant and sends the browser back. The client redeems its code at
//! [`http::token`]. Where the MCP server wants a token of the user's own, [`http::user_token`] asks for it before
//! there is a grant; on [`http::account`] users see and end what acts in their name.
//!
//! What is right and wrong in each step is decided in [`oauth`], by pure functions of values; what is used,
//! rotated and revoked is decided in [`store`], by one conditional write each. Providers are in
//! [`provider`], one file a kind.
//!
//! # What authz is told
//!
//! [`grpc::replica`] answers for single tokens, and [`grpc::watch`] streams the revocation log to every
//! authz instance; [`instances`] knows how far each has come. [`grpc::admin`] is for operators. What the MCP server is
//! to get is made in [`credential`] when authz asks, and signed, where it is an assertion, by [`signing`].

pub mod acting;
pub mod app;
pub mod client_document;
pub mod clients;
pub mod config;
pub mod credential;
pub mod edge;
pub mod grpc;
pub mod http;
pub mod instances;
pub mod issue;
pub mod issuer;
pub mod keys;
pub mod metrics;
pub mod oauth;
pub mod provider;
pub mod rewrap;
pub mod run;
pub mod signing;
pub mod start;
pub mod store;
pub mod upkeep;
pub mod upstream;

//! Portcullis's control plane: the OAuth surface, and the owner of every grant, token, client and key.

pub mod config;
pub mod oauth;
pub mod provider;
pub mod store;

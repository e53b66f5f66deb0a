//! The OAuth surface and the owner of every grant, token, client and key.

pub mod config;
pub mod provider;

//! The program as operators run it.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod configuration;
mod home;
mod keys;
mod operators;
mod program;
mod serve;
mod store;

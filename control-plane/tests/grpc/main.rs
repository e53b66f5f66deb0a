//! The Replica, Admin and health services over real connections, and how they start and stop.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod instance;
mod keys;
mod lifecycle;
mod mesh;
mod plane;
mod resolve;
mod revocation;
mod rotation;
mod stalled;
mod watch;

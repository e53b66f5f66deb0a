//! The replica protocol between the real services in one process: a control plane and five authz instances, each
//! with its store on disk, over connections that fail by a seeded schedule, in time that moves only when told to.
//!
//! [`fleet`] says how time moves, [`wire`] how a connection fails, [`schedule`] what happens and must hold.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

#[path = "../../../control-plane/tests/support/mod.rs"]
mod support;

mod dice;
mod edge;
mod faults;
mod fleet;
mod plane;
mod schedule;
mod wire;

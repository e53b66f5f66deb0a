//! End-to-end tests, the demo, and what they need.

pub mod binaries;
pub mod client;
pub mod demo;
pub mod documents;
pub mod edge;
pub mod faults;
pub mod front;
pub mod process;
pub mod programs;
pub mod scripts;
pub mod stack;

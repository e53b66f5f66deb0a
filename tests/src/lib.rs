//! End-to-end tests, the demo, and what they need.

pub mod demo;

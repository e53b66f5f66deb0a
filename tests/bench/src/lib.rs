//! What Portcullis costs, measured beside what it is compared with.
//!
//! Figures of one machine at one hour mean little; ratios of figures that were taken in turn, in one run, mean
//! something. So everything that is compared runs at the same time and is loaded in interleaved rounds: [`ladder`],
//! [`floods`], [`tokens`], [`fan_out`]. [`document`] writes down what came of it.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement: what fails should end it, and figures are small"
)]

pub mod allow;
pub mod backend;
pub mod bare;
pub mod document;
pub mod envoy;
pub mod fan_out;
pub mod floods;
pub mod goals;
pub mod group_commit;
pub mod instance;
pub mod instructions;
pub mod jwt;
pub mod ladder;
pub mod load;
pub mod machine;
pub mod peers;
pub mod pieces;
pub mod portcullis;
pub mod report;
pub mod run;
pub mod tokens;
pub mod usage;

use std::time::Duration;

/// How long a program may take to start.
pub const START: Duration = Duration::from_mins(2);

//! `make bench`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use portcullis_bench::ladder::{self, Extent};
use portcullis_bench::{allow, report};
use portcullis_tests::programs::Place;

/// What Portcullis costs, beside what it is compared with.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Envoy alone, with servers that allow everything, with Portcullis, with its own JWT filter.
    Ladder {
        /// Records that authz has.
        #[arg(long, default_value_t = 1_000_000)]
        records: usize,
        /// Rounds; the middle one counts.
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// Seconds of each step in each round.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// A server that allows everything, made the ordinary way.
    Ordinary {
        /// Where.
        address: SocketAddr,
    },
}

#[tokio::main]
async fn main() {
    match Arguments::parse().what {
        What::Ladder { records, rounds, seconds } => {
            let directory = tempfile::tempdir().unwrap();
            let place = Place { directory: directory.path().to_owned(), own_groups: false };
            let time = Duration::from_secs(seconds);
            let extent = Extent { records, rounds, time, connections: 32, rate: 2_000.0 };
            println!("{}", report::ladder(&ladder::climb(&place, extent).await));
        }
        What::Ordinary { address } => allow::ordinary(address).await,
    }
}

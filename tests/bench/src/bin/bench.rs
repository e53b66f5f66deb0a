//! `make bench`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use portcullis_bench::run::{Extents, everything, in_place, raise_limits};
use portcullis_bench::{allow, bare, document, fan_out, floods, ladder, report, tokens};

/// What Portcullis costs, beside what it is compared with.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// A moment of each, to see that it works.
    #[arg(long, global = true)]
    smoke: bool,
}

#[derive(Subcommand)]
enum What {
    /// Everything, written down.
    All {
        /// The file.
        #[arg(long, default_value = "docs/BENCHMARKS.md")]
        output: PathBuf,
        /// Leaves out what a user could pick in Portcullis's place.
        #[arg(long)]
        without_peers: bool,
    },
    /// Envoy alone, with servers that allow everything, with Portcullis, with its own JWT filter.
    Ladder(Ladder),
    /// Refreshes, registrations and consent pages, beside what the disk makes durable.
    Tokens,
    /// A revocation until the last instance has it, beside a bare fan-out.
    FanOut {
        /// How many there are.
        #[arg(long)]
        instances: Option<usize>,
        /// Revocations.
        #[arg(long)]
        rounds: Option<usize>,
    },
    /// Bad tokens, and good requests among them.
    Floods,
    /// A server that allows everything, made the ordinary way.
    #[command(hide = true)]
    Ordinary {
        /// Where.
        address: SocketAddr,
    },
    /// The least that tells instances of a revocation.
    #[command(hide = true)]
    BareFanOut {
        /// Where.
        address: SocketAddr,
    },
}

#[derive(Args)]
struct Ladder {
    /// Records that authz has.
    #[arg(long)]
    records: Option<usize>,
    /// Rounds; the middle one counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of each step in each round.
    #[arg(long)]
    seconds: Option<u64>,
    /// Also what a user could pick in Portcullis's place.
    #[arg(long)]
    peers: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { what, smoke } = Arguments::parse();
    raise_limits();
    let extents = |peers| if smoke { Extents::smoke() } else { Extents::full(peers) };
    match what {
        What::All { output, without_peers } => {
            let extents = extents(!without_peers);
            let results = everything(extents).await;
            std::fs::write(&output, document::page(&results, &extents)).unwrap();
            eprintln!("{}", output.display());
            if !document::is_complete(&results) {
                return ExitCode::FAILURE;
            }
        }
        What::Ladder(given) => {
            let extent = given.extent(extents(given.peers).ladder);
            let climbed = in_place(async |place| ladder::climb(&place, extent).await).await;
            println!("{}", report::ladder(&climbed));
        }
        What::Tokens => println!("{}", report::tokens(&tokens::measure(extents(false).tokens).await)),
        What::FanOut { instances, rounds } => {
            let preset = extents(false).fan_out;
            let extent = fan_out::Extent {
                instances: instances.unwrap_or(preset.instances),
                rounds: rounds.unwrap_or(preset.rounds),
            };
            let series = in_place(async |place| fan_out::measure(&place, extent).await).await;
            println!("{}", report::fan_out(&series));
        }
        What::Floods => {
            let extent = extents(false).floods;
            let samples = in_place(async |place| floods::measure(&place, extent).await).await;
            println!("{}", report::floods(&samples));
        }
        What::Ordinary { address } => allow::ordinary(address).await,
        What::BareFanOut { address } => bare::serve(address).await,
    }
    ExitCode::SUCCESS
}

// === impl Ladder ===

impl Ladder {
    fn extent(&self, preset: ladder::Extent) -> ladder::Extent {
        ladder::Extent {
            records: self.records.unwrap_or(preset.records),
            rounds: self.rounds.unwrap_or(preset.rounds),
            time: self.seconds.map_or(preset.time, std::time::Duration::from_secs),
            peers: self.peers,
            ..preset
        }
    }
}

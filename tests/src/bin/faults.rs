//! `make faults`: many rounds of the fault suite.

#![expect(clippy::print_stdout, reason = "it talks to whoever started it")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use portcullis_proto::random::{SystemRandom, bytes};
use portcullis_tests::faults::{Kind, Suite};

/// Kills, stops and cuts off the parts of a Portcullis under load, and looks for anything that was acknowledged
/// and is lost, or revoked and accepted.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many rounds.
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// What the faults are drawn from; another one each time where it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| u64::from(u32::from_ne_bytes(bytes(&SystemRandom))));
    println!("seed {seed}");
    let began = Instant::now();
    let mut suite = Suite::start(seed).await;
    for number in 1..=arguments.rounds {
        println!("{number:>4}  {}", suite.round().await);
        if !suite.verdicts().is_empty() {
            break;
        }
    }
    let verdicts = suite.verdicts();
    let count = |kind| verdicts.iter().filter(|verdict| verdict.kind == kind).count();
    let (lost, resurrected, stuck) = (count(Kind::Lost), count(Kind::Resurrected), count(Kind::Stuck));
    println!("\n{}", suite.figures());
    println!("lost {lost}, resurrected {resurrected}, stuck {stuck}; seed {seed}, {:.0?}", began.elapsed());
    if verdicts.is_empty() {
        return ExitCode::SUCCESS;
    }
    for verdict in &verdicts {
        println!("\n{verdict}");
    }
    println!("\nLogs and data: {}", suite.keep().display());
    ExitCode::FAILURE
}

//! `docs/BENCHMARKS.md`.

use std::fmt::Write;

use crate::run::{Extents, Outcome, Results};
use crate::{goals, machine, report};

/// The whole page.
pub fn page(results: &Results, extents: &Extents) -> String {
    let Extents { ladder, floods, tokens, fan_out } = extents;
    let sections = [
        ("Goals", String::new(), report::goals(&goals::goals(results))),
        (
            "One request",
            format!(
                "Through Envoy, {} connections, as fast as they are answered, {} rounds of {} s; after each {} s at \
                 {} requests a second, where that can be kept. They begin {} s after everything has started. authz \
                 has {} records, all of them as likely to be asked for; each peer runs as one instance and knows one \
                 token. CPU time is that of the process and of all that it has started. {}",
                ladder.connections,
                ladder.rounds,
                ladder.time.as_secs_f64(),
                ladder.paced_time.as_secs_f64(),
                ladder.rate,
                ladder.warm_up.as_secs(),
                ladder.records,
                if ladder.peers {
                    "FastMCP and workers-oauth-provider stand in Envoy's place, in front of the same backend."
                } else {
                    "The peers were left out of this run."
                },
            ),
            section(&results.ladder, report::ladder),
        ),
        (
            "Tokens",
            format!(
                "The control plane without the edge and its rate limits, {} connections, each with a grant of its \
                 own. The bare store is sled as the control plane opens it, with as many writers, one thread that \
                 commits, at most 512 operations in a group, and then flush and fdatasync; it is on the same disk.",
                tokens.connections,
            ),
            section(&results.tokens, |kinds| report::tokens(kinds)),
        ),
        (
            "Revocation",
            format!(
                "{} revocations, {} instances, each on a connection of its own and all in one process beside the \
                 server. From the operator's call. The bare fan-out is tonic with a broadcast channel: it checks \
                 nothing, keeps nothing, and waits for nobody.",
                fan_out.rounds, fan_out.instances,
            ),
            section(&results.fan_out, report::fan_out),
        ),
        (
            "Bad tokens",
            format!(
                "Good requests come at {} a second. The flood is {} requests a second, each with another token \
                 that is well formed and that nobody has issued. A garbage token has a wrong checksum.",
                floods.rate, floods.flood,
            ),
            section(&results.floods, |samples| report::floods(samples)),
        ),
    ];
    let mut page = format!(
        "# Benchmarks\n\nWritten by `make bench`. [PERFORMANCE.md](PERFORMANCE.md) says what the figures mean. They are \
         medians of rounds in which everything was measured in turn; in brackets the lowest and the highest round. \
         Load, servers and backend share one machine: compare only inside this page.\n\n{}",
        machine::describe(),
    );
    for (title, text, table) in sections {
        let _ = write!(page, "\n## {title}\n\n");
        if !text.is_empty() {
            let _ = write!(page, "{text}\n\n");
        }
        page += &table;
    }
    page
}

fn section<T>(outcome: &Outcome<T>, table: impl FnOnce(&T) -> String) -> String {
    match outcome {
        Ok(measured) => table(measured),
        Err(why) => format!("**Failed**: {}\n", report::one_line(why)),
    }
}

/// Whether every part was measured.
pub fn is_complete(results: &Results) -> bool {
    results.ladder.is_ok() && results.floods.is_ok() && results.tokens.is_ok() && results.fan_out.is_ok()
}

//! `portcullis-control-plane`: see `--help`.

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::Arguments::try_parse() {
        Ok(arguments) => cli::run(arguments).await,
        Err(error) => {
            let _ = error.print(); // nobody is left to tell
            // Not clap's own 2, which says of a revocation that it is on its way.
            if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

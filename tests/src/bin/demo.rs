//! `make run`: a whole Portcullis on this machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to whoever started it")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use portcullis_tests::binaries::{root, workspace};
use portcullis_tests::demo::plan::Plan;
use portcullis_tests::demo::run::run;
use portcullis_tests::process::{ProcessError, tail};
use portcullis_tests::programs::CONTROL_PLANE;

const LOG_LINES: usize = 20;

/// Starts control plane, authz and Envoy: with a demo provider and a demo MCP server, or for a configuration
/// of your own.
#[derive(Debug, Parser)]
struct Arguments {
    /// A portcullis.yaml of your own.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = match arguments.config.as_deref().map_or_else(Plan::demo, Plan::of) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match run(&plan, announce).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            if let ProcessError::Exited { log, .. } | ProcessError::NotReady { log, .. } = &error {
                eprintln!("It ends with:\n{}", tail(log, LOG_LINES));
            }
            ExitCode::FAILURE
        }
    }
}

fn announce(plan: &Plan) {
    println!("Portcullis is up. Ctrl-C stops it.\n");
    for (name, url) in &plan.servers {
        let code = format!(r#"{{"name":"{name}","type":"http","url":"{url}"}}"#);
        println!("  {name}: {url}\n");
        println!("    Claude Code    claude mcp add --transport http {name} {url}");
        println!("    VS Code        code --add-mcp '{code}'");
        println!(
            "    MCP Inspector  npx @modelcontextprotocol/inspector --transport http --server-url {url}\n"
        );
    }
    if plan.demo {
        println!("  The login page is a demo's: pick any name.");
    }
    println!("  Logs     {}", shown(&plan.logs));
    if let Ok(binary) = workspace(CONTROL_PLANE) {
        println!("  Grants   {} grants list --control-plane {}", shown(&binary), plan.control_plane);
    }
}

/// A path as people in the repository write it.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

//! The demo's MCP server as a process of its own.

use std::net::SocketAddr;

use clap::Parser;
use portcullis_tests::demo::{mcp, serve};

/// An MCP server with two tools, `whoami` and `echo`. For demos and tests only.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:10002")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve(Arguments::parse().listen, mcp::router()).await?;
    Ok(())
}

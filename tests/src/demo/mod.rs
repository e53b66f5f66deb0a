//! The demo: an identity provider, an MCP server, and everything between them started with one command.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

mod file;
pub mod mcp;
pub mod plan;
pub mod provider;
pub mod run;

/// Serves until SIGINT or SIGTERM. Open event streams are cut: nobody waits for a demo.
pub async fn serve(listen: SocketAddr, router: Router) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    tokio::select! {
        result = async { axum::serve(listener, router).await } => result,
        () = stopped() => Ok(()),
    }
}

/// Waits for SIGINT or SIGTERM.
pub async fn stopped() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

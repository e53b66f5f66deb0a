//! The `portcullis-authz` program: reads `authz.yaml`, binds, serves until it is told to stop.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use portcullis_authz::config::{self, Config};
use portcullis_authz::{Listeners, telemetry};
use portcullis_proto::hardening;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Envoy's external authorization service for Portcullis.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file, such as authz.yaml.
    #[arg(long)]
    config: PathBuf,
}

// Checks have threads of their own: what is left, one thread does.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whoever has written the configuration reads this: not as JSON.
    let config = match config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("portcullis-authz: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = hardening::keep_to_ourselves() {
        eprintln!("portcullis-authz: {error}");
        return ExitCode::FAILURE;
    }
    telemetry::init();
    match serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "giving up");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let listeners = bind(&config).await?;
    let shutdown = CancellationToken::new();
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(cancel_on(terminate, shutdown.clone()));
    tokio::spawn(cancel_on(interrupt, shutdown.clone()));
    portcullis_authz::run(config, listeners, shutdown).await?;
    Ok(())
}

async fn bind(config: &Config) -> Result<Listeners, String> {
    let bind = async |key: &str, address| {
        TcpListener::bind(address).await.map_err(|error| format!("{key} {address}: {error}"))
    };
    Ok(Listeners { grpc: bind("listen", config.listen).await?, ops: bind("ops", config.ops).await? })
}

async fn cancel_on(mut signal: Signal, shutdown: CancellationToken) {
    signal.recv().await;
    info!("told to stop");
    shutdown.cancel();
}

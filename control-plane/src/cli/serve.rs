//! `serve`.

use std::path::Path;
use std::process::ExitCode;

use portcullis_control_plane::run::{Listeners, run};
use portcullis_control_plane::start::{Clocks, LostSigningKeys, start};
use portcullis_proto::hardening;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{Done, configuration};

pub(super) async fn serve(file: &Path, clocks: Clocks, lost: LostSigningKeys) -> Done {
    hardening::keep_to_ourselves()?;
    let config = configuration::load(file)?;
    log_json();
    let listeners = Listeners::bind(&config.listen).await?;
    let app = start(config, clocks, lost).await?;
    let stop = stop_signal()?;
    tracing::info!(
        http = %listeners.http.local_addr()?,
        grpc = %listeners.grpc.local_addr()?,
        ops = %listeners.ops.local_addr()?,
        version = env!("CARGO_PKG_VERSION"),
        "control plane started"
    );
    run(app, listeners, stop).await?;
    tracing::info!("control plane stopped");
    Ok(ExitCode::SUCCESS)
}

/// One JSON line an event, to standard error. `RUST_LOG` says which.
fn log_json() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    // Where a task panics the others go on: without this line nobody who reads the log would know.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
}

/// Cancelled by SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stopping.cancel();
    });
    Ok(stop)
}

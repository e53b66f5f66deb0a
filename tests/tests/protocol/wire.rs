//! The way from one instance to the control plane, which can be cut, stalled in either direction, and slowed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::{mpsc, watch};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// Bytes that may be on their way in one direction, between two of the four ends.
const BUFFER: usize = 64 * 1024;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They arrive at once.
    Open,
    /// They arrive later.
    Slow(Duration),
    /// They wait, and nobody is told.
    Stalled,
}

/// How the wire is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// As it should be.
    Good,
    /// Connections end, and new ones are refused.
    Cut,
    /// What a connection carries from the instance (up) and to it (down).
    Poor { up: Flow, down: Flow },
}

/// The wire of one instance.
#[derive(Clone)]
pub(crate) struct Wire {
    line: Arc<watch::Sender<Line>>,
    server: mpsc::Sender<io::Result<DuplexStream>>,
    traffic: Arc<AtomicU64>,
}

// === impl Line ===

impl Line {
    fn up(self) -> Flow {
        match self {
            Self::Good | Self::Cut => Flow::Open,
            Self::Poor { up, .. } => up,
        }
    }

    fn down(self) -> Flow {
        match self {
            Self::Good | Self::Cut => Flow::Open,
            Self::Poor { down, .. } => down,
        }
    }
}

// === impl Wire ===

impl Wire {
    /// A good one to whoever accepts at the other end of `server`; what it carries is counted in `traffic`.
    pub(crate) fn new(server: mpsc::Sender<io::Result<DuplexStream>>, traffic: Arc<AtomicU64>) -> Self {
        Self { line: Arc::new(watch::Sender::new(Line::Good)), server, traffic }
    }

    pub(crate) fn line(&self) -> Line {
        *self.line.borrow()
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// A client's channel over this wire; it connects when it must.
    pub(crate) fn channel(&self, endpoint: &Endpoint) -> Channel {
        let wire = self.clone();
        endpoint.connect_with_connector_lazy(service_fn(move |_| {
            let wire = wire.clone();
            async move { wire.connect().await.map(TokioIo::new) }
        }))
    }

    async fn connect(&self) -> io::Result<DuplexStream> {
        let mut line = self.line.subscribe();
        passable(&mut line, Line::up).await;
        passable(&mut line, Line::down).await;
        if *line.borrow() == Line::Cut {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, near) = duplex(BUFFER);
        let (far, server) = duplex(BUFFER);
        self.server.send(Ok(server)).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        let traffic = self.traffic.clone();
        tokio::spawn(async move {
            let ((near_read, near_write), (far_read, far_write)) = (split(near), split(far));
            let mut cut = line.clone();
            tokio::select! {
                () = pump(near_read, far_write, line.clone(), Line::up, &traffic) => {}
                () = pump(far_read, near_write, line, Line::down, &traffic) => {}
                _ = cut.wait_for(|line| *line == Line::Cut) => {}
            }
        });
        Ok(client)
    }
}

/// Waits until bytes may pass in this direction, and gives how long they take.
async fn passable(line: &mut watch::Receiver<Line>, flow: fn(Line) -> Flow) -> Duration {
    match line.wait_for(|line| flow(*line) != Flow::Stalled).await.map(|line| flow(*line)) {
        Ok(Flow::Slow(delay)) => delay,
        Ok(_) | Err(_) => Duration::ZERO,
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    flow: fn(Line) -> Flow,
    traffic: &AtomicU64,
) {
    let mut bytes = vec![0; BUFFER];
    while let Ok(read) = from.read(&mut bytes).await {
        let delay = passable(&mut line, flow).await; // also for the end: where bytes wait, nobody hears of it
        if read == 0 {
            return;
        }
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
            passable(&mut line, flow).await;
        }
        traffic.fetch_add(1, Ordering::Relaxed);
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

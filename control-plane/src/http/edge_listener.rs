//! The OAuth surface's connections: only the edge may make them, since it says which issuer is meant, and bounds rates.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::serve::Listener;
use portcullis_proto::mesh::{Connection, Observer, Refusal, Role};
use portcullis_proto::seldom::Seldom;
use tokio_stream::{Stream, StreamExt as _};

/// Drops connections of others before anything is read, where connections are TLS.
pub struct EdgeListener {
    connections: Pin<Box<dyn Stream<Item = io::Result<Connection>> + Send>>,
    observer: Arc<dyn Observer>,
    refused: Seldom,
}

// === impl EdgeListener ===

impl EdgeListener {
    /// Of these connections.
    pub fn new(
        connections: impl Stream<Item = io::Result<Connection>> + Send + 'static,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { connections: Box::pin(connections), observer, refused: Seldom::new() }
    }
}

impl Listener for EdgeListener {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        loop {
            match self.connections.next().await {
                Some(Ok(connection)) if connection.peer().is(Role::Edge) => return (connection, ()),
                Some(Ok(connection)) => {
                    self.observer.refused(Refusal::Role);
                    if self.refused.now() {
                        let peer = connection.peer();
                        tracing::warn!(
                            ?peer,
                            "a connection to listen.http that is not the edge's was refused"
                        );
                    }
                }
                Some(Err(error)) => tracing::debug!(%error, "a connection was lost before it was accepted"),
                None => pending().await, // the process is ending
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

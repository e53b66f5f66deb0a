//! The listening end: no byte of a request is read before the handshake has shown who sends it.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};

use super::{Connection, Identity, Observer, Refusal, Roles};
use crate::seldom::Seldom;

/// How long a handshake may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes under way, at most; who comes then waits to be accepted.
const HANDSHAKES: usize = 256;

static REFUSED: Seldom = Seldom::new();

/// The connections of a listener. With an identity, those whose handshake has succeeded: each at its own pace, none for
/// longer than 5 s. Others are dropped, counted and logged.
pub fn connections<S>(
    incoming: S,
    identity: Option<Arc<Identity>>,
    observer: Arc<dyn Observer>,
) -> impl Stream<Item = io::Result<Connection>>
where
    S: Stream<Item = io::Result<TcpStream>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let permits = Arc::new(Semaphore::new(HANDSHAKES));
        let mut incoming = pin!(incoming);
        while let Some(next) = next(&permits, &sender, &mut incoming).await {
            match (next, &identity) {
                ((Err(error), _), _) => drop(sender.send(Err(error)).await),
                ((Ok(stream), _), None) => drop(sender.send(Ok(Connection::plain(stream))).await),
                ((Ok(stream), permit), Some(identity)) => {
                    let (identity, observer, sender) = (identity.clone(), observer.clone(), sender.clone());
                    tokio::spawn(async move {
                        let _permit = permit; // until it is served
                        if let Some(connection) = handshake(stream, &identity, &*observer).await {
                            let _ = sender.send(Ok(connection)).await; // nobody serves any more
                        }
                    });
                }
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// The next connection, once there is room for its handshake. `None` where nobody serves any more.
async fn next<S>(
    permits: &Arc<Semaphore>,
    served: &Sender<io::Result<Connection>>,
    incoming: &mut S,
) -> Option<(io::Result<TcpStream>, OwnedSemaphorePermit)>
where
    S: Stream<Item = io::Result<TcpStream>> + Unpin,
{
    let accept = async {
        let permit = permits.clone().acquire_owned().await.ok()?;
        Some((incoming.next().await?, permit))
    };
    tokio::select! {
        next = accept => next,
        () = served.closed() => None,
    }
}

async fn handshake(stream: TcpStream, identity: &Identity, observer: &dyn Observer) -> Option<Connection> {
    let address = stream.peer_addr();
    let shaken = timeout(DEADLINE, identity.acceptor().accept(stream)).await;
    let why = match shaken {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let end_entity = certificates.and_then(|certificates| certificates.first());
            let parsed = end_entity.and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
            let roles = parsed.map_or_else(Roles::default, |parsed| identity.names().roles(&parsed));
            return Some(Connection::tls(stream, roles));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("nothing for {DEADLINE:?}"),
    };
    observer.refused(Refusal::Handshake);
    if REFUSED.now() {
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        tracing::warn!(%address, why, "a connection without a good certificate was refused");
    }
    None
}

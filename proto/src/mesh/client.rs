//! The connecting end.

use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Error};
use tower::service_fn;

use super::{Identity, Role};
use crate::seldom::Seldom;

static FAILED: Seldom = Seldom::new();

/// A channel that connects when it is first used, and again when the connection is lost. With an identity, only to who
/// has a certificate of the role `server`, whatever the host's name is. The endpoint's deadline for connecting
/// covers the handshake.
pub fn channel(endpoint: &Endpoint, identity: Option<Arc<Identity>>, server: Role) -> Channel {
    match identity {
        None => endpoint.connect_lazy(),
        Some(identity) => endpoint.connect_with_connector_lazy(service_fn(move |uri| {
            let identity = identity.clone();
            async move { reach(&identity, &uri, server).await.map(TokioIo::new) }
        })),
    }
}

/// The same, connected.
pub async fn connect(
    endpoint: &Endpoint,
    identity: Option<Arc<Identity>>,
    server: Role,
) -> Result<Channel, Error> {
    match identity {
        None => endpoint.connect().await,
        Some(identity) => {
            let connector = service_fn(move |uri| {
                let identity = identity.clone();
                async move { reach(&identity, &uri, server).await.map(TokioIo::new) }
            });
            endpoint.connect_with_connector(connector).await
        }
    }
}

async fn reach(identity: &Identity, uri: &Uri, server: Role) -> io::Result<TlsStream<TcpStream>> {
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no host and port to connect to"));
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let stream = TcpStream::connect((bare, port)).await?;
    stream.set_nodelay(true)?;
    let shaken = identity.dial(stream, server).await;
    // gRPC only says that there was a transport error.
    if let Err(error) = &shaken
        && FAILED.now()
    {
        tracing::warn!(%uri, %server, %error, "no TLS connection");
    }
    shaken
}

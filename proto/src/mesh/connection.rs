//! A connection that somebody has made to us, and who that is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{Role, Roles};

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Whoever could connect: there is no TLS.
    Unverified,
    /// Somebody with a good certificate, which gives these roles; perhaps none.
    Verified(Roles),
}

/// An accepted connection, with TLS or without.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    peer: Peer,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Peer ===

impl Peer {
    /// Whether the peer may do what a role may. Without TLS everybody may.
    pub const fn is(self, role: Role) -> bool {
        match self {
            Self::Unverified => true,
            Self::Verified(roles) => roles.has(role),
        }
    }
}

// === impl Connection ===

impl Connection {
    /// Without TLS.
    pub(super) const fn plain(stream: TcpStream) -> Self {
        Self { io: Io::Plain(stream), peer: Peer::Unverified }
    }

    /// After the handshake.
    pub(super) fn tls(stream: TlsStream<TcpStream>, roles: Roles) -> Self {
        Self { io: Io::Tls(Box::new(stream)), peer: Peer::Verified(roles) }
    }

    /// Who is at the other end.
    pub const fn peer(&self) -> Peer {
        self.peer
    }
}

/// What [`super::Guard`] looks at.
impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    /// No, so that HTTP/2 gathers more before it writes: for messages as short as the mesh's, copying them together is
    /// cheaper than a system call for each, at both ends.
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

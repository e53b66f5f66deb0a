//! The wire between an authz instance and the control plane, in the hands of the test: a TCP proxy that can
//! cut it, slow it down, or leave it hanging.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// Bytes on their way in one direction, at most; beyond that the sender has to wait.
const IN_FLIGHT: usize = 256 * 1024;
const CHUNK: usize = 16 * 1024;

/// The state of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Bytes pass.
    Whole,
    /// There is no connection, and new ones are closed at once.
    Cut,
    /// Bytes pass, each so much later.
    Slow(Duration),
    /// Connections stay, new ones are made, and nothing arrives: neither there, nor, where `both`, here.
    HalfOpen {
        /// Whether the answers are held back too.
        both: bool,
    },
}

/// A wire. It is cut for good when it is dropped.
#[derive(Debug)]
pub(super) struct Wire {
    address: SocketAddr,
    condition: watch::Sender<Condition>,
    _task: AbortOnDropHandle<()>,
}

/// Towards whom bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    There,
    Back,
}

// === impl Wire ===

impl Wire {
    /// A whole wire to `target`.
    pub(super) async fn to(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (condition, seen) = watch::channel(Condition::Whole);
        let task = tokio::spawn(accept(listener, target, seen));
        Ok(Self { address, condition, _task: AbortOnDropHandle::new(task) })
    }

    /// The near end.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the state of the wire.
    pub(super) fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }
}

// === impl Condition ===

impl Condition {
    fn delay(self) -> Duration {
        match self {
            Self::Slow(delay) => delay,
            Self::Whole | Self::Cut | Self::HalfOpen { .. } => Duration::ZERO,
        }
    }

    fn holds(self, direction: Direction) -> bool {
        match self {
            Self::HalfOpen { both } => both || direction == Direction::There,
            Self::Whole | Self::Cut | Self::Slow(_) => false,
        }
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, condition: watch::Receiver<Condition>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if *condition.borrow() != Condition::Cut {
            connections.spawn(carry(near, target, condition.clone()));
        }
    }
}

/// Carries one connection until one side ends it, or the wire is cut.
async fn carry(near: TcpStream, target: SocketAddr, mut condition: watch::Receiver<Condition>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    // Fails only where the connection is gone already, which shows soon.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near, far) = (near.into_split(), far.into_split());
    tokio::select! {
        _ = pump(near.0, far.1, Direction::There, condition.clone()) => {}
        _ = pump(far.0, near.1, Direction::Back, condition.clone()) => {}
        _ = condition.wait_for(|condition| *condition == Condition::Cut) => {}
    }
}

/// Carries bytes in one direction until there are no more.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut on_the_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut ended = false;
    loop {
        let now = *condition.borrow_and_update();
        let holds = now.holds(direction);
        let held: usize = on_the_way.iter().map(|(_, bytes)| bytes.len()).sum();
        let due = on_the_way.front().map(|(due, _)| *due).filter(|_| !holds);
        if ended && on_the_way.is_empty() {
            return Ok(());
        }
        tokio::select! {
            changed = condition.changed() => changed.map_err(io::Error::other)?,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some((_, bytes)) = on_the_way.pop_front() {
                    to.write_all(&bytes).await?;
                }
            }
            read = from.read(&mut buffer), if !ended && held + CHUNK <= IN_FLIGHT => match read? {
                0 => ended = true,
                read => on_the_way.push_back((Instant::now() + now.delay(), buffer[..read].to_vec())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    /// A wire to somebody who says everything again.
    async fn echo() -> (Wire, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let wire = Wire::to(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut read, mut write) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        let stream = TcpStream::connect(wire.address()).await.unwrap();
        (wire, stream)
    }

    async fn say(stream: &mut TcpStream, word: &[u8; 4]) {
        stream.write_all(word).await.unwrap();
    }

    async fn hear(stream: &mut TcpStream, within: Duration) -> Option<io::Result<[u8; 4]>> {
        let mut word = [0; 4];
        let heard = timeout(within, stream.read_exact(&mut word)).await.ok()?;
        Some(heard.map(|_| word))
    }

    #[tokio::test]
    async fn bytes_pass_late_on_a_slow_wire() {
        let (wire, mut stream) = echo().await;
        say(&mut stream, b"fast").await;
        assert_eq!(hear(&mut stream, LONG).await.unwrap().unwrap(), *b"fast");
        wire.set(Condition::Slow(MOMENT));
        let began = Instant::now();
        say(&mut stream, b"slow").await;
        assert_eq!(hear(&mut stream, LONG).await.unwrap().unwrap(), *b"slow");
        assert!(began.elapsed() >= MOMENT * 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_half_open_wire_keeps_what_it_holds_for_later() {
        for both in [false, true] {
            let (wire, mut stream) = echo().await;
            wire.set(Condition::HalfOpen { both });
            say(&mut stream, b"held").await;
            assert!(hear(&mut stream, MOMENT).await.is_none());
            wire.set(Condition::Whole);
            assert_eq!(hear(&mut stream, LONG).await.unwrap().unwrap(), *b"held");
        }
    }

    #[tokio::test]
    async fn a_cut_wire_ends_connections_old_and_new_until_it_is_whole() {
        let (wire, mut old) = echo().await;
        say(&mut old, b"fine").await;
        assert!(hear(&mut old, LONG).await.unwrap().is_ok());
        wire.set(Condition::Cut);
        assert!(hear(&mut old, LONG).await.unwrap().is_err());
        let mut new = TcpStream::connect(wire.address()).await.unwrap();
        assert!(hear(&mut new, LONG).await.unwrap().is_err());
        wire.set(Condition::Whole);
        let mut again = TcpStream::connect(wire.address()).await.unwrap();
        say(&mut again, b"back").await;
        assert_eq!(hear(&mut again, LONG).await.unwrap().unwrap(), *b"back");
    }
}

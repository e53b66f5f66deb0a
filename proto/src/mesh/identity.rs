//! What this process shows and trusts, for as long as it runs.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::material::Material;
use super::{Files, MeshError, Names, Observer, Role};
use crate::time::{Clock, Timestamp};

/// How often the files are looked at. Their contents, since a file that is swapped by a symlink tells nothing else.
const EVERY: Duration = Duration::from_secs(10);
/// How long new contents must stay the same: files that are being written are not read halfway.
const SETTLE: Duration = Duration::from_millis(100);
/// A certificate that ends sooner than this is warned of.
const SOON: Duration = Duration::from_hours(14 * 24);

/// A process's certificate, its key and the authorities that it trusts. New connections are made with what the files had
/// last, as far as that was of use; those that are open stay.
pub struct Identity {
    own: Role,
    files: Files,
    names: Names,
    current: ArcSwap<Material>,
}

/// What a look at the files has found.
enum Look {
    Same,
    /// They change at this moment: the next look will tell.
    InMotion,
    New(Box<Material>),
}

/// Looks at the files, where there are any, and takes what has changed, for connections that are made from then on.
/// What is of no use leaves the last good state in use.
pub async fn follow(identity: Option<&Identity>, clock: &dyn Clock, observer: &dyn Observer) -> Infallible {
    let Some(identity) = identity else { return pending().await };
    observer.expires(identity.expires());
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bad = None;
    loop {
        every.tick().await;
        identity.look(clock.now(), observer, &mut bad).await;
    }
}

// === impl Identity ===

impl Identity {
    /// Reads the files of a process that is `own`. The error names the file and its key in the configuration.
    pub fn open(own: Role, files: Files, names: Names, now: Timestamp) -> Result<Self, MeshError> {
        let material = Material::new(own, &files, &names, &files.read()?, now)?;
        warn_of_end(&files, material.expires, now);
        Ok(Self { own, files, names, current: ArcSwap::from_pointee(material) })
    }

    /// Until when the certificate in use is good.
    pub fn expires(&self) -> Timestamp {
        self.current.load().expires
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.load().server.clone().into()
    }

    /// The client's end of a handshake: the server must have this role.
    pub async fn dial(&self, stream: TcpStream, server: Role) -> io::Result<TlsStream<TcpStream>> {
        self.connector().connect(self.names.server_name(server), stream).await
    }

    pub(super) fn connector(&self) -> TlsConnector {
        self.current.load().client.clone().into()
    }

    /// Looks once. `bad` is what was wrong the last time.
    pub(super) async fn look(&self, now: Timestamp, observer: &dyn Observer, bad: &mut Option<String>) {
        match self.settled(now).await {
            Ok(Look::Same) => *bad = None,
            Ok(Look::InMotion) => {}
            Ok(Look::New(material)) => {
                let expires = material.expires;
                self.current.store(Arc::from(material));
                *bad = None;
                observer.reread(true);
                observer.expires(expires);
                tracing::info!(certificate = %self.files.certificate.display(), "the mesh's files have changed and are in use");
                warn_of_end(&self.files, expires, now);
            }
            Err(error) => {
                let error = error.to_string();
                observer.reread(false);
                if bad.as_ref() != Some(&error) {
                    tracing::error!(%error, "the mesh's files have changed and are of no use; those before stay in use");
                    *bad = Some(error);
                }
            }
        }
    }

    async fn settled(&self, now: Timestamp) -> Result<Look, MeshError> {
        let first = self.files.read().map(|contents| contents.digest());
        if first.as_ref().is_ok_and(|digest| *digest == self.current.load().digest) {
            return Ok(Look::Same);
        }
        sleep(SETTLE).await;
        let contents = self.files.read()?;
        if first.ok() != Some(contents.digest()) {
            return Ok(Look::InMotion);
        }
        let material = Material::new(self.own, &self.files, &self.names, &contents, now)?;
        Ok(Look::New(Box::new(material)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("own", &self.own).field("files", &self.files).finish_non_exhaustive()
    }
}

fn warn_of_end(files: &Files, expires: Timestamp, now: Timestamp) {
    let left = expires.since(now);
    if left < SOON {
        let hours = left.as_secs() / 3600;
        tracing::warn!(certificate = %files.certificate.display(), hours, "the mesh's certificate ends soon");
    }
}

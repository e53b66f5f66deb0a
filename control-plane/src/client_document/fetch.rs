//! Fetching what a stranger has named: the client identifier of a request that anybody can send. So nothing is
//! connected to but public addresses, nothing is followed, and everything is short.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy as Redirects;
use thiserror::Error;
use tokio::time::timeout;

use super::error::DocumentError;
use super::freshness::fresh_for;
use super::policy::Policy;
use super::turns::Turns;
use crate::oauth::document_url::DocumentUrl;

/// Longest document, in bytes (the draft recommends 5 KB).
pub(super) const MAX_BODY: usize = 5 * 1024;
/// How long a fetch may take in all: names, connection, answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long it may wait for its turn before. Three fetches in a row, the most that a request can need, end before the
/// request's own time is over.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long connecting may take, of that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// A document as it came, and for how long it may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its bytes; [`MAX_BODY`] at most.
    pub body: Vec<u8>,
    /// How long it is fresh.
    pub fresh_for: Duration,
}

/// For whose sake something is fetched. Nobody who is known waits for those who are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Of a client that somebody has logged in with.
    Known,
    /// Of one that anybody may have made up.
    Stranger,
}

/// The Internet, as far as documents are concerned.
#[async_trait]
pub trait Web: Send + Sync + 'static {
    /// Gets a JSON document.
    async fn get(&self, url: &DocumentUrl, standing: Standing) -> Result<Page, DocumentError>;
}

/// What names mean.
#[async_trait]
pub trait Names: Send + Sync + 'static {
    /// The addresses of a host.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver. It waits in a thread for as long as it likes, so threads have turns, those that nobody
/// waits for any more included.
#[derive(Debug)]
pub struct SystemNames(Turns);

/// The Internet without what is only ours.
pub struct GuardedWeb {
    known: Lane,
    strangers: Lane,
}

/// What those of one standing share: others do not get in their way.
struct Lane {
    /// A client for each port, which connects to nothing that the policy does not reach at that port.
    clients: BTreeMap<u16, reqwest::Client>,
    turns: Turns,
}

/// Stands between names and connections: what it does not hand out is not connected to. There is no second look-up
/// whose answer could be another one.
struct Guard {
    port: u16,
    policy: Arc<Policy>,
    names: Arc<dyn Names>,
}

/// The name has addresses, but none that may be connected to.
#[derive(Debug, Error)]
#[error("no address that may be connected to")]
struct NoneReached;

// === impl SystemNames ===

impl Default for SystemNames {
    fn default() -> Self {
        Self(Turns::new())
    }
}

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let turn = self.0.take(host).await.ok_or_else(|| io::Error::other("too many wait"))?;
        let host = host.to_owned();
        let look_up = move || {
            let _turn = turn;
            Ok((host.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
        };
        tokio::task::spawn_blocking(look_up).await.map_err(io::Error::other)?
    }
}

// === impl GuardedWeb ===

impl GuardedWeb {
    /// Fails where there are no root certificates to trust, or the policy's own cannot be read.
    pub fn new(policy: &Policy) -> Result<Self, reqwest::Error> {
        Self::with_names(policy, &|| Arc::new(SystemNames::default()))
    }

    /// With other resolvers, one for each standing.
    pub fn with_names(policy: &Policy, names: &dyn Fn() -> Arc<dyn Names>) -> Result<Self, reqwest::Error> {
        Ok(Self { known: Lane::new(policy, &names())?, strangers: Lane::new(policy, &names())? })
    }
}

// === impl Lane ===

impl Lane {
    fn new(policy: &Policy, names: &Arc<dyn Names>) -> Result<Self, reqwest::Error> {
        let policy = Arc::new(policy.clone());
        let client = |port| {
            let guard = Guard { port, policy: policy.clone(), names: names.clone() };
            client(&policy, port, guard).map(|client| (port, client))
        };
        let clients = policy.ports().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, turns: Turns::new() })
    }
}

#[async_trait]
impl Web for GuardedWeb {
    async fn get(&self, url: &DocumentUrl, standing: Standing) -> Result<Page, DocumentError> {
        let lane = match standing {
            Standing::Known => &self.known,
            Standing::Stranger => &self.strangers,
        };
        let client = lane.clients.get(&url.port()).ok_or(DocumentError::Port)?;
        let crowded = DocumentError::Unavailable("too many others are being fetched");
        let turn = timeout(PATIENCE, lane.turns.take(url.host())).await;
        let _turn = turn.ok().flatten().ok_or(crowded)?;
        let in_vain = |_| DocumentError::Unavailable("no answer in time");
        timeout(DEADLINE, fetch(client, url)).await.map_err(in_vain)?
    }
}

impl std::fmt::Debug for GuardedWeb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedWeb").field("ports", &self.known.clients.keys()).finish_non_exhaustive()
    }
}

fn client(policy: &Policy, port: u16, guard: Guard) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .https_only(true)
        .redirect(Redirects::none())
        .referer(false)
        // A proxy would look the name up itself.
        .no_proxy()
        // A connection that was kept would be a name that is not looked up again.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(DEADLINE)
        .dns_resolver(guard);
    let is_named = |address: &SocketAddr| address.port() == port;
    if let Some(ca) =
        policy.development.ca.as_ref().filter(|_| policy.development.addresses.iter().any(is_named))
    {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(ca.as_bytes())?);
    }
    builder.build()
}

async fn fetch(client: &reqwest::Client, url: &DocumentUrl) -> Result<Page, DocumentError> {
    let request = client.get(url.url().clone()).header(header::ACCEPT, "application/json");
    let mut answer = request.send().await.map_err(|error| failure(&error))?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(DocumentError::Gone),
        status if status.is_redirection() => return Err(DocumentError::Unavailable("it redirects")),
        _ => return Err(DocumentError::Unavailable("its server answers with an error")),
    }
    if !is_json(answer.headers()) {
        return Err(DocumentError::Malformed);
    }
    let fresh_for = fresh_for(answer.headers());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(DocumentError::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Page { body, fresh_for })
}

/// `application/json`, or a type whose syntax is JSON's (RFC 6839 section 3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// What may be said of a failed fetch.
fn failure(error: &reqwest::Error) -> DocumentError {
    let mut cause = error.source();
    while let Some(deeper) = cause {
        if deeper.is::<NoneReached>() {
            return DocumentError::NotPublic;
        }
        cause = deeper.source();
    }
    DocumentError::Unavailable(match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "no connection",
        _ => "the connection broke",
    })
}

// === impl Guard ===

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (port, policy, names) = (self.port, self.policy.clone(), self.names.clone());
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await?;
            let reached: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| policy.reaches(*address, port))
                .map(|address| SocketAddr::new(address, port))
                .collect();
            if reached.is_empty() {
                Err(NoneReached.into())
            } else {
                Ok(Box::new(reached.into_iter()) as Addrs)
            }
        })
    }
}

#[cfg(test)]
mod tests;

//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document, which MCP uses from 2025-11-25 on): a
//! client whose identifier is a URL, and which is what the document there says.
//!
//! Anybody can make us fetch a URL by opening `/authorize` with it. [`fetch`] sees to it that this reaches nothing
//! that is not public, [`policy`] whose documents count, [`shelf`] that it happens seldom. What a document says is
//! judged in [`crate::oauth::document`].

mod address;
mod error;
mod fetch;
mod freshness;
mod policy;
mod shelf;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::ClientId;
use portcullis_proto::time::Timestamp;
use url::Origin;

use self::shelf::Shelf;
use crate::oauth::client::Client;
use crate::oauth::client_keys::{self, KeyError};
use crate::oauth::document;
use crate::oauth::document_url::DocumentUrl;
use crate::provider::KeySet;

pub use self::error::DocumentError;
pub use self::fetch::{GuardedWeb, Names, Page, Standing, SystemNames, Web};
pub use self::policy::{Development, DomainPattern, Policy};

/// How old a key set must be for a key that is not in it to be worth a fetch: what names unknown keys more often than
/// that is no client's assertion.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_mins(1);

/// The documents of clients, and the key sets that they name.
pub struct Documents {
    web: Arc<dyn Web>,
    policy: Policy,
    /// Our own origins: no client is sent back there, and nothing is fetched from there.
    own: Vec<Origin>,
    clients: Shelf<Client>,
    keys: Shelf<KeySet>,
}

// === impl Documents ===

impl Documents {
    /// None has been fetched.
    pub fn new(web: Arc<dyn Web>, policy: Policy, own: Vec<Origin>) -> Self {
        Self { web, policy, own, clients: Shelf::new(), keys: Shelf::new() }
    }

    /// The client that the document at this URL describes.
    pub async fn client(
        &self,
        url: &DocumentUrl,
        standing: Standing,
        now: Timestamp,
    ) -> Result<Arc<Client>, DocumentError> {
        self.admit(url)?;
        let fetch = async {
            let fetched = self.web.get(url, standing).await.and_then(|page| {
                let client = document::client(&page.body, url, &self.own, now)?;
                Ok((client, page.fresh_for))
            });
            match &fetched {
                Ok((client, kept)) => {
                    tracing::info!(client = %client.id, ?kept, "client metadata document fetched");
                }
                Err(error) => tracing::info!(client = url.as_str(), %error, "no client metadata document"),
            }
            fetched
        };
        self.clients.get(url.as_str(), Duration::MAX, fetch).await
    }

    /// What was last fetched, however old: for display.
    pub async fn kept(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients.kept(id.as_str()).await
    }

    /// The key set at this URL, which the document of a known client names; fetched anew where it is fresh, but `lacks` the
    /// key that is looked for. Where that cannot be done, what is fresh stays for those whose keys it has.
    pub async fn keys(
        &self,
        uri: &str,
        lacks: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, DocumentError> {
        let url = DocumentUrl::parse(uri)?;
        self.admit(&url)?;
        let get = async |max_age| {
            let fetch = async {
                let page = self.web.get(&url, Standing::Known).await?;
                let jwks = serde_json::from_slice(&page.body).map_err(|_| KeyError::Syntax)?;
                Ok((client_keys::key_set(&jwks)?, page.fresh_for))
            };
            self.keys.get(uri, max_age, fetch).await
        };
        let keys = get(Duration::MAX).await?;
        if lacks(&keys) { get(UNKNOWN_KEY_INTERVAL).await } else { Ok(keys) }
    }

    /// Whether anything is fetched from there. What we would ask ourselves could make us ask ourselves again.
    fn admit(&self, url: &DocumentUrl) -> Result<(), DocumentError> {
        if self.own.contains(&url.url().origin()) {
            return Err(DocumentError::Own);
        }
        if self.policy.trusts(url) { Ok(()) } else { Err(DocumentError::NotAllowed) }
    }
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").field("policy", &self.policy).finish_non_exhaustive()
    }
}

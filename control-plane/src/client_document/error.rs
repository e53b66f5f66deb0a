//! Why there is no document. The texts are for users, operators and developers alike, and quote nothing of what came.

use thiserror::Error;

use super::fetch::MAX_BODY;
use crate::oauth::client_keys::KeyError;
use crate::oauth::document_url::DocumentUrlError;
use crate::oauth::registration::MetadataError;

/// Why there is no document, or none that counts.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DocumentError {
    /// An identifier that cannot be the URL of a document.
    #[error(transparent)]
    Url(#[from] DocumentUrlError),
    /// `clients.metadata_documents.allowed_domains` leaves it out.
    #[error("applications of this domain are not admitted here")]
    NotAllowed,
    /// A URL of ours.
    #[error("its URL is on this very service")]
    Own,
    /// Another port than https's.
    #[error("its URL has a port that is not allowed")]
    Port,
    /// The host has no address that may be connected to.
    #[error("its host has no public address")]
    NotPublic,
    /// There is none (HTTP 404 or 410).
    #[error("there is no document at its URL")]
    Gone,
    /// A document, but not one that can be used.
    #[error("the answer is not JSON of at most {MAX_BODY} bytes")]
    Malformed,
    /// What it says.
    #[error("its document: {0}")]
    Metadata(#[from] MetadataError),
    /// The key set that it names.
    #[error("its key set: {0}")]
    Keys(#[from] KeyError),
    /// No answer, or one that says nothing about the document.
    #[error("its document cannot be fetched: {0}")]
    Unavailable(&'static str),
}

// === impl DocumentError ===

impl DocumentError {
    /// Whether it says nothing about the client: trying again later may help.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document section 4): a client describes itself
//! at the URL that is its identifier. What it says is judged by the rules of registration.

use portcullis_proto::ids::ClientId;
use portcullis_proto::time::Timestamp;
use url::Origin;

use super::client::{Client, ClientSource};
use super::client_keys::KeySource;
use super::document_url::DocumentUrl;
use super::registration::{MetadataError, Method, Registration, object, text};

/// Members that a document which everybody can read must not have.
const SECRETS: [&str; 2] = ["client_secret", "client_secret_expires_at"];

/// The client that a document describes.
pub fn client(
    body: &[u8],
    url: &DocumentUrl,
    own: &[Origin],
    now: Timestamp,
) -> Result<Client, MetadataError> {
    let metadata = object(body)?;
    if text(&metadata, "client_id")? != Some(url.as_str()) {
        return Err(MetadataError::ClientId);
    }
    if let Some(member) =
        SECRETS.into_iter().find(|member| metadata.get(*member).is_some_and(|v| !v.is_null()))
    {
        return Err(MetadataError::Secret(member));
    }
    let method = match text(&metadata, "token_endpoint_auth_method")? {
        // RFC 7591's own default has a secret, which no document can have.
        Some("none") | None => Method::None,
        Some("private_key_jwt") => Method::PrivateKeyJwt(KeySource::read(&metadata, true)?),
        Some(_) => return Err(MetadataError::DocumentMethod),
    };
    let registration = Registration::of_metadata(&metadata, method, own)?;
    if !registration.has_name() {
        return Err(MetadataError::Name); // which MCP 2025-11-25 requires
    }
    Ok(registration.describe(ClientId::new(url.as_str()), ClientSource::Document, now, None))
}

#[cfg(test)]
mod tests;

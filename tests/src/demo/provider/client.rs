//! The one client, and how it authenticates at the token endpoint (RFC 6749 section 2.3.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::{OAuthError, Parameters, Settings};

// === impl Settings ===

impl Settings {
    /// Accepts `client_secret_basic` and `client_secret_post`, but not both at once.
    pub(super) fn authenticate(&self, headers: &HeaderMap, form: &Parameters) -> Result<(), OAuthError> {
        let presented = match (basic(headers), form.get("client_secret")) {
            (Some(basic), None) => basic,
            (None, Some(secret)) => (form.get("client_id").cloned().unwrap_or_default(), secret.clone()),
            _ => return Err(OAuthError::INVALID_CLIENT),
        };
        // Compared in the open: the secret of a demo protects nothing.
        if presented == (self.client_id.clone(), self.client_secret.clone()) {
            Ok(())
        } else {
            Err(OAuthError::INVALID_CLIENT)
        }
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

/// Both halves are form-encoded before they are joined.
fn form_decoded(text: &str) -> String {
    form_urlencoded::parse(text.as_bytes()).map(|(key, _)| key.into_owned()).next().unwrap_or_default()
}

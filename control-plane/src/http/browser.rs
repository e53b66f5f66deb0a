//! The cookie that ties consent and callback to one browser.

use axum::http::{HeaderMap, HeaderValue};
use portcullis_proto::random::{self, Random};
use zeroize::Zeroizing;

use super::cookie::{LENGTH, Name};
use crate::issuer::Issuer;

const NAME: Name = Name { secure: "__Host-portcullis", plain: "portcullis" };

/// The cookie's value: a secret that only this browser has.
pub struct Browser(Zeroizing<String>);

// === impl Browser ===

impl Browser {
    /// What the browser sent, if it is of our making.
    pub fn of(headers: &HeaderMap, issuer: &Issuer) -> Option<Self> {
        NAME.read(headers, issuer).map(Self)
    }

    /// For a browser that has none yet.
    pub fn new(random: &dyn Random) -> Self {
        Self(random::base62(random, LENGTH).into())
    }

    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `Set-Cookie`. `Lax`, because the provider sends the browser back from its own site.
    pub fn set_cookie(&self, issuer: &Issuer) -> HeaderValue {
        NAME.set(&self.0, "SameSite=Lax", issuer)
    }
}

/// Whether the request may come from a page of ours. Browsers that do not say are judged by the form's token
/// and the cookie alone.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

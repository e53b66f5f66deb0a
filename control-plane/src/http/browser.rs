//! The cookie that ties consent and callback to one browser.

use axum::http::{HeaderMap, HeaderValue, header};
use portcullis_proto::random::{self, Random};

use crate::issuer::Issuer;

/// Characters of base62: 256 bits.
const LENGTH: usize = 43;

/// The cookie's value: a secret that only this browser has.
pub struct Browser(String);

// === impl Browser ===

impl Browser {
    /// What the browser sent, if it is of our making.
    pub fn of(headers: &HeaderMap, issuer: &Issuer) -> Option<Self> {
        let name = cookie_name(issuer);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut found = cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        let value = found.next()?;
        let ours = value.len() == LENGTH && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // Two of one name: somebody has planted one.
        (ours && found.next().is_none()).then(|| Self(value.to_owned()))
    }

    /// For a browser that has none yet.
    pub fn new(random: &dyn Random) -> Self {
        Self(random::base62(random, LENGTH))
    }

    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `Set-Cookie`. `Lax`, because the provider sends the browser back from its own site.
    #[expect(clippy::expect_used, reason = "letters, digits and punctuation")]
    pub fn set_cookie(&self, issuer: &Issuer) -> HeaderValue {
        let secure = if issuer.secure { "; Secure" } else { "" };
        let text = format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", cookie_name(issuer), self.0);
        HeaderValue::from_str(&text).expect("a cookie is a header value")
    }
}

/// With the prefix that keeps other hosts and plain http from setting it (RFC 6265bis section 4.1.3).
const fn cookie_name(issuer: &Issuer) -> &'static str {
    if issuer.secure { "__Host-portcullis" } else { "portcullis" }
}

/// Whether the request may come from a page of ours. Browsers that do not say are judged by the form's token
/// and the cookie alone.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

//! Our cookies: each has 256 random bits, and is for one host alone.

use axum::http::{HeaderMap, HeaderValue, header};
use zeroize::Zeroizing;

use crate::issuer::Issuer;

/// Characters of base62: 256 bits.
pub(super) const LENGTH: usize = 43;

/// A cookie's name, by whether it is for https. The prefix keeps other hosts and plain http from setting it
/// (RFC 6265bis section 4.1.3).
pub(super) struct Name {
    pub(super) secure: &'static str,
    pub(super) plain: &'static str,
}

// === impl Name ===

impl Name {
    const fn at(&self, issuer: &Issuer) -> &'static str {
        if issuer.secure { self.secure } else { self.plain }
    }

    /// What the browser sent, if it is of our making.
    pub(super) fn read(&self, headers: &HeaderMap, issuer: &Issuer) -> Option<Zeroizing<String>> {
        let name = self.at(issuer);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut found = cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        let value = found.next()?;
        let ours = value.len() == LENGTH && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // Two of one name: somebody has planted one.
        (ours && found.next().is_none()).then(|| value.to_owned().into())
    }

    /// `Set-Cookie`, with more attributes than every cookie of ours has.
    #[expect(clippy::expect_used, reason = "letters, digits and punctuation")]
    pub(super) fn set(&self, value: &str, attributes: &str, issuer: &Issuer) -> HeaderValue {
        let secure = if issuer.secure { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; HttpOnly; {attributes}{secure}", self.at(issuer));
        HeaderValue::from_str(&text).expect("a cookie is a header value")
    }
}

//! The cookie of a session on the account page.

use axum::http::{HeaderMap, HeaderValue};
use portcullis_proto::random::{self, Random};
use zeroize::Zeroizing;

use crate::http::cookie::{LENGTH, Name};
use crate::issuer::Issuer;
use crate::oauth::session::{self, SessionId};

const NAME: Name = Name { secure: "__Host-portcullis-session", plain: "portcullis-session" };

/// What the session's forms are signed for.
const FORMS: &str = "account";

/// The cookie's value: a secret that only this browser has, for as long as the session lives.
pub(super) struct SessionCookie(Zeroizing<String>);

// === impl SessionCookie ===

impl SessionCookie {
    /// What the browser sent, if it is of our making.
    pub(super) fn of(headers: &HeaderMap, issuer: &Issuer) -> Option<Self> {
        NAME.read(headers, issuer).map(Self)
    }

    /// For a new session.
    pub(super) fn new(random: &dyn Random) -> Self {
        Self(random::base62(random, LENGTH).into())
    }

    /// What the session is stored under.
    pub(super) fn id(&self) -> SessionId {
        SessionId::of(&self.0)
    }

    /// A token for the session's forms.
    pub(super) fn csrf(&self, key: &crate::keys::FormKey) -> String {
        key.sign(&self.0, FORMS)
    }

    /// Whether the token is the one for this session's forms.
    pub(super) fn allows(&self, key: &crate::keys::FormKey, csrf: &str) -> bool {
        key.verify(&self.0, FORMS, csrf)
    }

    /// `Set-Cookie`. `Strict`: no other site's link or form comes with it. The login ends with a page of ours that
    /// leads on, and not with a redirect, so that the cookie goes along from there.
    pub(super) fn set(&self, issuer: &Issuer) -> HeaderValue {
        let attributes = format!("SameSite=Strict; Max-Age={}", session::LIFETIME.as_secs());
        NAME.set(&self.0, &attributes, issuer)
    }

    /// `Set-Cookie` that takes it away.
    pub(super) fn clear(issuer: &Issuer) -> HeaderValue {
        NAME.set("", "SameSite=Strict; Max-Age=0", issuer)
    }
}

//! Registered clients (RFC 7591) and how they authenticate (RFC 6749 section 2.3).

use aws_lc_rs::constant_time;
use portcullis_proto::ids::{ClientId, TokenId};
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{ClientSecret, Presented};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::redirect_uri::RedirectUri;

/// A client as it registered itself. Every one of them rides the one app that Portcullis is at the provider, unless each
/// has a client of its own there ([`provider_client`](super::provider_client)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its identifier, drawn by us.
    pub id: ClientId,
    /// What it calls itself (`client_name`): display data, and not to be believed.
    pub name: Option<String>,
    /// Its home page (`client_uri`): https, display data.
    pub uri: Option<String>,
    /// How it proves who it is.
    pub auth: ClientAuth,
    /// Where authorization responses may be sent. Never empty.
    pub redirect_uris: Vec<RedirectUri>,
    /// When it registered.
    pub created_at: Timestamp,
    /// When the registration is forgotten unless somebody logs in with it; `None` once somebody has.
    pub unused_until: Option<Timestamp>,
}

/// How a client proves who it is at the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAuth {
    /// Not at all: a public client (`none`). PKCE ties the code to it.
    None,
    /// `client_secret_basic`; the secret's SHA-256.
    SecretBasic(TokenId),
    /// `client_secret_post`; the secret's SHA-256.
    SecretPost(TokenId),
}

/// What a request to the token or revocation endpoint says about its sender.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// `client_id` alone.
    Public(ClientId),
    /// HTTP Basic.
    Basic(ClientId, SecretString),
    /// `client_id` and `client_secret` in the body.
    Post(ClientId, SecretString),
}

// === impl Client ===

impl Client {
    /// Whether the credentials are this client's, sent by the one method that it registered.
    pub fn authenticates(&self, credentials: &Credentials) -> bool {
        credentials.client() == &self.id
            && match (&self.auth, credentials) {
                (ClientAuth::None, Credentials::Public(_)) => true,
                (ClientAuth::SecretBasic(hash), Credentials::Basic(_, secret))
                | (ClientAuth::SecretPost(hash), Credentials::Post(_, secret)) => is_secret(hash, secret),
                _ => false,
            }
    }

    /// Whether nobody has logged in with it and its time is up.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.unused_until.is_some_and(|until| until <= now)
    }
}

fn is_secret(hash: &TokenId, secret: &SecretString) -> bool {
    Presented::<ClientSecret>::parse(secret.expose_secret()).is_ok_and(|presented| {
        constant_time::verify_slices_are_equal(presented.id().as_bytes(), hash.as_bytes()).is_ok()
    })
}

// === impl ClientAuth ===

impl ClientAuth {
    /// `token_endpoint_auth_method` (RFC 7591 section 2).
    pub const fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
        }
    }
}

// === impl Credentials ===

impl Credentials {
    /// Who the sender says to be.
    pub const fn client(&self) -> &ClientId {
        match self {
            Self::Public(id) | Self::Basic(id, _) | Self::Post(id, _) => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::token::Token;

    use super::*;

    fn client(auth: ClientAuth) -> Client {
        Client {
            id: ClientId::new("c"),
            name: None,
            uri: None,
            auth,
            redirect_uris: vec![],
            created_at: Timestamp::default(),
            unused_until: None,
        }
    }

    #[test]
    fn a_secret_counts_only_by_the_registered_method() {
        let secret = Token::<ClientSecret>::generate(&SystemRandom);
        let text = || SecretString::from(secret.expose());
        let id = || ClientId::new("c");
        let basic = client(ClientAuth::SecretBasic(secret.id()));
        assert!(basic.authenticates(&Credentials::Basic(id(), text())));
        assert!(!basic.authenticates(&Credentials::Post(id(), text())));
        assert!(!basic.authenticates(&Credentials::Public(id())));
        assert!(!basic.authenticates(&Credentials::Basic(ClientId::new("d"), text())));
        let other = Token::<ClientSecret>::generate(&SystemRandom);
        assert!(!basic.authenticates(&Credentials::Basic(id(), other.expose().into())));
    }

    #[test]
    fn a_public_client_needs_no_secret_and_may_send_none() {
        let public = client(ClientAuth::None);
        assert!(public.authenticates(&Credentials::Public(ClientId::new("c"))));
        assert!(!public.authenticates(&Credentials::Post(ClientId::new("c"), "x".into())));
    }
}

//! Clients, where they come from, and how they authenticate (RFC 6749 section 2.3).

use aws_lc_rs::{constant_time, digest};
use portcullis_proto::ids::{ClientId, TokenId};
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{ClientSecret, Presented};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::assertion::Unverified;
use super::client_keys::KeySource;
use super::redirect_uri::RedirectUri;

/// A client as it describes itself. Every one of them rides the one app that Portcullis is at the provider, unless each
/// has a client of its own there ([`provider_client`](super::provider_client)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its identifier: drawn by us, the URL of its metadata document, or what the configuration says.
    pub id: ClientId,
    /// What it calls itself (`client_name`): display data, and not to be believed.
    pub name: Option<String>,
    /// Its home page (`client_uri`): https, display data.
    pub uri: Option<String>,
    /// Who says all this.
    #[serde(default)]
    pub source: ClientSource,
    /// How it proves who it is.
    pub auth: ClientAuth,
    /// Where authorization responses may be sent. Never empty.
    pub redirect_uris: Vec<RedirectUri>,
    /// When it registered.
    pub created_at: Timestamp,
    /// When the registration is forgotten unless somebody logs in with it; `None` once somebody has.
    pub unused_until: Option<Timestamp>,
}

/// Where a client's description comes from, which is also where it is looked up. Of those that are not registered,
/// the store has a record of what they were when somebody last logged in: for operators to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientSource {
    /// It registered itself (RFC 7591).
    #[default]
    Registered,
    /// The document at the URL that is its identifier.
    Document,
    /// `clients.preregistered` in the configuration.
    Configured,
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
    /// A secret that an operator chose, by either method; its SHA-256. Not for the store: such a secret might be guessed.
    Secret(TokenId),
    /// `private_key_jwt`, with keys whose public halves are here.
    PrivateKeyJwt(KeySource),
}

/// What a request to the token or revocation endpoint says about its sender.
#[derive(Debug)]
pub enum Credentials {
    /// `client_id` alone.
    Public(ClientId),
    /// HTTP Basic.
    Basic(ClientId, SecretString),
    /// `client_id` and `client_secret` in the body.
    Post(ClientId, SecretString),
    /// `client_assertion`, with the client that it says to be from.
    Assertion(ClientId, Unverified),
}

// === impl Client ===

impl Client {
    /// Whether the credentials are this client's, sent by the one method that it registered. An assertion never is, by
    /// itself: it takes keys and a store to say.
    pub fn authenticates(&self, credentials: &Credentials) -> bool {
        credentials.client() == &self.id
            && match (&self.auth, credentials) {
                (ClientAuth::None, Credentials::Public(_)) => true,
                (ClientAuth::SecretBasic(hash), Credentials::Basic(_, secret))
                | (ClientAuth::SecretPost(hash), Credentials::Post(_, secret)) => is_secret(hash, secret),
                (ClientAuth::Secret(hash), Credentials::Basic(_, secret) | Credentials::Post(_, secret)) => {
                    secret_id(secret).is_some_and(|id| are_equal(&id, hash))
                }
                _ => false,
            }
    }

    /// Whether nobody has logged in with it and its time is up.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.unused_until.is_some_and(|until| until <= now)
    }

    /// What is kept of a client that is described elsewhere, once somebody has logged in with it. Its secret is not.
    #[must_use]
    pub fn record(mut self) -> Self {
        if let ClientAuth::Secret(_) = self.auth {
            self.auth = ClientAuth::None;
        }
        Self { unused_until: None, ..self }
    }
}

fn is_secret(hash: &TokenId, secret: &SecretString) -> bool {
    Presented::<ClientSecret>::parse(secret.expose_secret())
        .is_ok_and(|presented| are_equal(&presented.id(), hash))
}

fn are_equal(a: &TokenId, b: &TokenId) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

/// SHA-256 of a secret that has no form of its own.
pub fn secret_id(secret: &SecretString) -> Option<TokenId> {
    TokenId::from_slice(digest::digest(&digest::SHA256, secret.expose_secret().as_bytes()).as_ref())
}

// === impl ClientAuth ===

impl ClientAuth {
    /// `token_endpoint_auth_method` (RFC 7591 section 2).
    pub const fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) | Self::Secret(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
        }
    }

    /// `jwks` (RFC 7591 section 2), where the keys are here.
    pub const fn jwks(&self) -> Option<&Value> {
        match self {
            Self::PrivateKeyJwt(KeySource::Set(jwks)) => Some(jwks),
            _ => None,
        }
    }
}

// === impl Credentials ===

impl Credentials {
    /// Who the sender says to be.
    pub const fn client(&self) -> &ClientId {
        match self {
            Self::Public(id) | Self::Basic(id, _) | Self::Post(id, _) | Self::Assertion(id, _) => id,
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
            source: ClientSource::Registered,
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

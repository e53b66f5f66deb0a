//! The keys that the provider signs ID tokens with (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::provider::{Http, ProviderError};

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The keys of a document that may sign; its others are left out.
#[derive(Debug)]
pub struct KeySet(Vec<Key>);

/// A public key, and what it may be used with.
#[derive(Debug)]
pub(crate) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
    /// Whose tokens it signs, where the document says so.
    issuer: Option<String>,
}

/// A key as it came.
#[derive(Deserialize)]
struct Document {
    #[serde(flatten)]
    jwk: Jwk,
    issuer: Option<String>,
}

/// A document as it came. One key of an unheard-of kind must not spoil the others.
#[derive(Deserialize)]
struct Unchecked {
    keys: Vec<Value>,
}

/// Gets the provider's key set.
pub(super) async fn fetch(http: &Http, jwks_uri: &Url) -> Result<KeySet, ProviderError> {
    let Unchecked { keys } = http.get_json("the key set", jwks_uri, None).await?;
    Ok(KeySet::from_documents(keys))
}

// === impl KeySet ===

impl KeySet {
    /// The keys that can be used, of those that came.
    pub(crate) fn from_documents(keys: Vec<Value>) -> Self {
        let keys = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Self(keys.filter_map(Key::new).collect())
    }

    /// The key that a token names. A token that names none has the one key that fits; where several do, it
    /// should have named one (OpenID Connect Core section 10.1).
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm));
        if id.is_some() {
            return fitting.find(|key| key.id.as_deref() == id);
        }
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// Whether a key fits the algorithm.
    pub(crate) fn has(&self, algorithm: Algorithm) -> bool {
        self.0.iter().any(|key| key.algorithms.contains(&algorithm))
    }
}

// === impl Key ===

impl Key {
    /// A key that may verify signatures. Its type says by which algorithms, never the token.
    fn new(Document { jwk, issuer }: Document) -> Option<Self> {
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA.to_vec(),
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                vec![Algorithm::ES256]
            }
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => {
                vec![Algorithm::ES384]
            }
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
                vec![Algorithm::EdDSA]
            }
            // Symmetric keys too: no secret of ours is in a public document.
            _ => return None,
        };
        let common = &jwk.common;
        if let Some(only) = common.key_algorithm {
            algorithms.retain(|&algorithm| Algorithm::try_from(only) == Ok(algorithm));
        }
        let signs = common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|uses| uses.contains(&KeyOperations::Verify));
        if algorithms.is_empty() || !signs {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithms,
            public: DecodingKey::from_jwk(&jwk).ok()?,
            issuer,
        })
    }

    pub(crate) fn decoding_key(&self) -> &DecodingKey {
        &self.public
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }
}

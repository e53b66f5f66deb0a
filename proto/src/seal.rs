//! Credentials, sealed twice over.
//!
//! A grant has a random data key. The provider's tokens are sealed under it; the data key itself is kept
//! only sealed: by the control plane under its master key, and once for each access token under a key
//! derived from that token's text. Whoever has a store but no token can open nothing.

use std::borrow::Cow;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::ids::GrantId;
use crate::random::{self, Random};
use crate::token::{Kind, Presented};

/// Length of every key here, in bytes.
pub const KEY_LEN: usize = 32;

/// A key for AES-256-GCM. Nonces are random, so one key must not seal more than 2^32 messages (NIST SP
/// 800-38D section 8.3): a grant's key seals two for each refresh, a token's key one in its life.
pub struct SealingKey(Zeroizing<[u8; KEY_LEN]>);

/// A nonce and an AES-256-GCM ciphertext with its tag.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(#[serde(with = "crate::base64_text")] Bytes);

/// Whose a sealed value is.
pub trait Owner {
    /// Which owner it is, among those of its kind.
    fn name(&self) -> Cow<'_, [u8]>;
}

/// An owner with a data key of its own.
pub trait KeyOwner: Owner {
    /// What that is, under the master key. No two kinds of owner have the same.
    const DATA_KEY: Field;
}

/// What a sealed value is. It goes into the associated data together with the owner's name, so that none can
/// be put in another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A grant's data key, under the master key.
    DataKeyForControlPlane,
    /// The data key, under an access token's key.
    DataKeyForToken,
    /// What the MCP server is to receive: an encoded `Credential` message.
    Credential,
    /// The provider's refresh token.
    ProviderRefreshToken,
    /// The answer to a refresh request, kept for its repetition.
    RefreshAnswer,
    /// The data key of a token that a user has given us, under the master key.
    DataKeyOfUserToken,
    /// A token that a user has given us.
    UserToken,
    /// The secret of a client that was registered at a provider, under the master key.
    ProviderClientSecret,
}

/// The sealed value was changed, belongs elsewhere, or the key is another one. Which, nobody can tell.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a sealed value does not open")]
pub struct OpenError;

// === impl SealingKey ===

impl SealingKey {
    /// Draws a new key.
    pub fn generate(random: &dyn Random) -> Self {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        random.fill(&mut *key);
        Self(key)
    }

    /// A key that was kept somewhere.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        if bytes.len() != KEY_LEN {
            return Err(OpenError);
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    /// The key that a token's holder has: HKDF-SHA-256 (RFC 5869) of the token's text. The text has 256
    /// bits of entropy, so no slow derivation is needed.
    pub fn of_token<K: Kind>(token: Presented<'_, K>) -> Self {
        Self::derive(token.expose().as_bytes(), b"portcullis token key v1")
    }

    /// A key of its own for one purpose, from a secret with full entropy.
    #[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 255 times 32 bytes")]
    pub fn derive(secret: &[u8], purpose: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(secret)
            .expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut *key))
            .expect("32 bytes are not too many");
        Self(key)
    }

    /// The key itself: to be sealed under another one, or written to the key file.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Seals `plaintext` for one field of one owner.
    #[expect(clippy::expect_used, reason = "AES-GCM fails only on messages above 64 GiB")]
    pub fn seal(&self, random: &dyn Random, owner: &impl Owner, field: Field, plaintext: &[u8]) -> Sealed {
        let nonce: [u8; NONCE_LEN] = random::bytes(random);
        let mut message = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(owner, field)),
                &mut message,
            )
            .expect("the message is short");
        Sealed([&nonce, message.as_slice(), tag.as_ref()].concat().into())
    }

    /// Opens what was sealed under this key for this field of this owner.
    pub fn open(
        &self,
        owner: &impl Owner,
        field: Field,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (nonce, ciphertext) = sealed.0.split_at_checked(NONCE_LEN).ok_or(OpenError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError)?;
        let mut message = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .cipher()
            .open_in_place(nonce, Aad::from(associated_data(owner, field)), &mut message)
            .map_err(|_| OpenError)?
            .len();
        message.truncate(length);
        Ok(message)
    }

    /// Seals another key.
    pub fn wrap(&self, random: &dyn Random, owner: &impl Owner, field: Field, key: &Self) -> Sealed {
        self.seal(random, owner, field, key.expose())
    }

    /// Opens another key.
    pub fn unwrap_key(&self, owner: &impl Owner, field: Field, sealed: &Sealed) -> Result<Self, OpenError> {
        Self::from_bytes(&self.open(owner, field, sealed)?)
    }

    #[expect(clippy::expect_used, reason = "the key has the length that the algorithm asks for")]
    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*self.0).expect("32 bytes"))
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey([REDACTED])")
    }
}

// === impl Sealed ===

impl Sealed {
    /// A stored value. Whether it is one of ours shows when it is opened.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// What to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What to store.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into()
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

// === impl GrantId ===

impl Owner for GrantId {
    fn name(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_str().as_bytes())
    }
}

impl KeyOwner for GrantId {
    const DATA_KEY: Field = Field::DataKeyForControlPlane;
}

// === impl Field ===

/// A tag of one byte, then the owner: no two pairs give the same bytes.
fn associated_data(owner: &impl Owner, field: Field) -> Vec<u8> {
    let tag = match field {
        Field::DataKeyForControlPlane => 1,
        Field::DataKeyForToken => 2,
        Field::Credential => 3,
        Field::ProviderRefreshToken => 4,
        Field::RefreshAnswer => 5,
        Field::DataKeyOfUserToken => 6,
        Field::UserToken => 7,
        Field::ProviderClientSecret => 8,
    };
    let name = owner.name();
    let mut data = Vec::with_capacity(1 + name.len());
    data.push(tag);
    data.extend_from_slice(&name);
    data
}

#[cfg(test)]
mod tests;

//! `private_key_jwt`: a client proves who it is with a signature (RFC 7523 section 3, OpenID Connect Core section 9).

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use jsonwebtoken::{Algorithm, Validation};
use portcullis_proto::ids::{ClientId, TokenId};
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

use super::client::Credentials;
use super::client_keys::ALGORITHMS;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use crate::provider::KeySet;

/// `client_assertion_type` (RFC 7523 section 2.2).
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far ahead an assertion may expire.
const MAX_LIFE: Duration = Duration::from_mins(5);
/// How far a client's clock may be off from ours.
const LEEWAY: Duration = Duration::from_secs(30);
/// Longest assertion, in bytes.
const MAX_LEN: usize = 8 * 1024;
/// Longest `jti`, in bytes.
const MAX_JTI: usize = 255;

/// An assertion whose signature has not been looked at.
#[derive(Debug)]
pub struct Unverified {
    text: SecretString,
    algorithm: Algorithm,
    /// `kid` (RFC 7515 section 4.1.4).
    key_id: Option<String>,
}

/// What an assertion says that the client's key has signed. That it is for us, now, is what [`check`] finds out.
#[derive(Debug, Deserialize)]
pub struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    jti: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// An assertion is good once: what must be used up, and until when that must be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleUse {
    /// SHA-256 of client and `jti`.
    pub id: TokenId,
    /// From when on the assertion has expired.
    pub until: Timestamp,
}

/// Why an assertion proves nothing. The texts quote nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AssertionError {
    /// RFC 7521 section 4.2.
    #[error("client_assertion_type must be {TYPE}, and client_assertion must be there")]
    Type,
    /// Not a JWT, or by an algorithm that is not allowed.
    #[error("client_assertion is not a JWT signed with ES256, RS256, PS256 or EdDSA")]
    Syntax,
    /// No key that could have signed it.
    #[error(
        "client_assertion is signed with a key that is not the client's, or does not say with which (kid)"
    )]
    Key,
    /// A wrong signature, or a claim that is not there.
    #[error("client_assertion has a wrong signature, or lacks one of iss, sub, aud, exp and jti")]
    Signature,
    /// Somebody else's.
    #[error("client_assertion: iss and sub must be the client_id")]
    Client,
    /// For somebody else.
    #[error("client_assertion: aud must be the issuer or the token endpoint")]
    Audience,
    /// Too late.
    #[error("client_assertion has expired")]
    Expired,
    /// Good for longer than it needs.
    #[error("client_assertion: exp must be at most 5 minutes ahead")]
    TooLong,
    /// Too early.
    #[error("client_assertion is from the future")]
    NotYet,
    /// RFC 7519 section 4.1.7.
    #[error("client_assertion: jti must have 1 to 255 bytes")]
    Jti,
    /// A copy.
    #[error("client_assertion has been used before")]
    Replayed,
}

/// The credentials of a request that brings an assertion; `None` where it brings none.
pub fn credentials(authorization: Option<&str>, params: &Params) -> Result<Option<Credentials>, OAuthError> {
    let (kind, text) = (params.get("client_assertion_type"), params.get("client_assertion"));
    if kind.is_none() && text.is_none() {
        return Ok(None);
    }
    if authorization.is_some() || params.get("client_secret").is_some() {
        let why = "the client authenticates in two ways at once: client_assertion and a secret";
        return Err(OAuthError::new(ErrorCode::InvalidRequest, why));
    }
    let text = text.filter(|_| kind == Some(TYPE)).ok_or(AssertionError::Type)?;
    let (assertion, subject) = Unverified::parse(text)?;
    // RFC 7521 section 4.2: client_id need not be there, and must be the same where it is.
    if params.get("client_id").is_some_and(|id| id != subject.as_str()) {
        return Err(AssertionError::Client.into());
    }
    Ok(Some(Credentials::Assertion(subject, assertion)))
}

/// Whether the assertion is this client's, for us and for now.
pub fn check(
    claims: &Claims,
    client: &ClientId,
    audiences: &[String],
    now: Timestamp,
) -> Result<SingleUse, AssertionError> {
    // NumericDate may have a fraction (RFC 7519 section 2).
    let seconds = |at: Timestamp| at.since(Timestamp::default()).as_secs_f64();
    let latest = seconds(now.after(LEEWAY));
    if claims.iss != client.as_str() || claims.sub != client.as_str() {
        return Err(AssertionError::Client);
    }
    // All of them: what is also meant for another server, that one could bring here.
    let all = claims.aud.all();
    if all.is_empty() || !all.iter().all(|audience| audiences.contains(audience)) {
        return Err(AssertionError::Audience);
    }
    if claims.exp.is_nan() || claims.exp <= seconds(now.before(LEEWAY)) {
        return Err(AssertionError::Expired);
    }
    if claims.exp > latest + MAX_LIFE.as_secs_f64() {
        return Err(AssertionError::TooLong);
    }
    if [claims.nbf, claims.iat].into_iter().flatten().any(|at| at > latest) {
        return Err(AssertionError::NotYet);
    }
    if !(1..=MAX_JTI).contains(&claims.jti.len()) {
        return Err(AssertionError::Jti);
    }
    // Until the latest moment at which it could have been accepted, whatever it says itself.
    Ok(SingleUse { id: single_use(client, &claims.jti)?, until: now.after(MAX_LIFE + LEEWAY * 2) })
}

/// The client comes after its length, so that no two pairs are one text.
fn single_use(client: &ClientId, jti: &str) -> Result<TokenId, AssertionError> {
    let mut context = Context::new(&SHA256);
    context.update(&(client.as_str().len() as u64).to_be_bytes());
    context.update(client.as_str().as_bytes());
    context.update(jti.as_bytes());
    TokenId::from_slice(context.finish().as_ref()).ok_or(AssertionError::Jti)
}

// === impl Unverified ===

impl Unverified {
    /// Reads header and subject. Algorithms that share a secret, and `none`, are refused here (RFC 8725 section 3.1).
    fn parse(text: &str) -> Result<(Self, ClientId), AssertionError> {
        #[derive(Deserialize)]
        struct Subject {
            sub: String,
        }
        if text.len() > MAX_LEN {
            return Err(AssertionError::Syntax);
        }
        let header = jsonwebtoken::decode_header(text).map_err(|_| AssertionError::Syntax)?;
        // RFC 7515 section 4.1.11: what we are told that we must understand, and do not.
        if !is_allowed(header.alg) || header.crit.is_some() {
            return Err(AssertionError::Syntax);
        }
        let claims = jsonwebtoken::dangerous::insecure_decode::<Subject>(text);
        let Subject { sub } = claims.map_err(|_| AssertionError::Syntax)?.claims;
        Ok((Self { text: text.into(), algorithm: header.alg, key_id: header.kid }, ClientId::new(sub)))
    }

    /// Whether the set has a key that may have signed it.
    pub fn is_known_to(&self, keys: &KeySet) -> bool {
        keys.find(self.key_id.as_deref(), self.algorithm).is_some()
    }

    /// The claims, where one of the keys has signed them.
    pub fn verify(&self, keys: &KeySet) -> Result<Claims, AssertionError> {
        let key = keys.find(self.key_id.as_deref(), self.algorithm).ok_or(AssertionError::Key)?;
        let mut validation = Validation::new(self.algorithm);
        // The library would ask the machine's clock; [`check`] takes `now`, and the rest in one place.
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<Claims>(self.text.expose_secret(), key.decoding_key(), &validation)
            .map(|token| token.claims)
            .map_err(|_| AssertionError::Signature)
    }
}

fn is_allowed(algorithm: Algorithm) -> bool {
    ALGORITHMS.iter().any(|(allowed, _)| *allowed == algorithm)
}

// === impl Audience ===

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(all) => all,
        }
    }
}

// === impl AssertionError ===

impl From<AssertionError> for OAuthError {
    fn from(error: AssertionError) -> Self {
        Self::new(ErrorCode::InvalidClient, error.to_string())
    }
}

#[cfg(test)]
mod tests;

//! ID tokens (OpenID Connect Core section 2) and what they must prove (section 3.1.3.7).

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jsonwebtoken::{Algorithm, AlgorithmFamily, Header, Validation};
use portcullis_proto::ids::Subject;
use portcullis_proto::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jwks::Key;
use crate::provider::{ProviderError, identity};

/// How far the provider's clock may be off from ours.
const LEEWAY: Duration = Duration::from_mins(1);

/// A token whose signature has not been looked at.
pub(super) struct Unverified<'a> {
    text: &'a str,
    header: Header,
}

/// What a token says that the provider has signed. That it is for us, now, is what [`check`] finds out.
#[derive(Clone, Deserialize)]
pub(in crate::provider) struct Claims {
    pub(in crate::provider) iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    azp: Option<String>,
    /// Whose tokens the key signs that has signed this one, where the key set says so (`issuer` of the key:
    /// Microsoft's extension to RFC 7517).
    #[serde(skip)]
    pub(in crate::provider) key_issuer: Option<String>,
    /// All the others, which are about the user.
    #[serde(flatten)]
    pub(super) further: Map<String, Value>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// What the token of one login or refresh must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// `None` where the token is not of a login, but of a refresh: it need not have one, and we have forgotten
    /// it (OpenID Connect Core section 12.2).
    pub(super) nonce: Option<&'a str>,
}

/// Whether the token is the provider's, for us, for this login and for now; and its `sub`.
pub(super) fn check(
    claims: &Claims,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Subject, ProviderError> {
    // NumericDate may have a fraction (RFC 7519 section 2).
    let seconds = |at: Timestamp| at.since(Timestamp::default()).as_secs_f64();
    let (earliest, latest) = (seconds(now) - LEEWAY.as_secs_f64(), seconds(now.after(LEEWAY)));
    let is_ours = |client: &String| client == expected.client_id;
    let is_this_login = |expected: &str| {
        let nonce = claims.nonce.as_deref().unwrap_or_default();
        verify_slices_are_equal(nonce.as_bytes(), expected.as_bytes()).is_ok()
    };

    require(claims.iss == expected.issuer, "iss is another's")?;
    require(claims.aud.all().iter().any(is_ours), "aud is another's")?;
    require(claims.azp.as_ref().is_none_or(is_ours), "azp is another's")?;
    require(
        claims.aud.all().len() == 1 || claims.azp.is_some(),
        "it has several audiences and does not say which of them asked",
    )?;
    require(claims.exp > earliest, "it has expired")?;
    require(claims.iat <= latest && claims.nbf.is_none_or(|nbf| nbf <= latest), "it is from the future")?;
    require(expected.nonce.is_none_or(is_this_login), "nonce is not this login's")?;
    identity::subject(&claims.sub).ok_or_else(|| refused("sub is not 1 to 255 printable ASCII characters"))
}

/// [`refused`], unless it holds.
pub(in crate::provider) fn require(holds: bool, otherwise: &str) -> Result<(), ProviderError> {
    if holds { Ok(()) } else { Err(refused(otherwise)) }
}

/// The token does not prove what it must.
pub(in crate::provider) fn refused(why: &str) -> ProviderError {
    ProviderError::IdToken(why.into())
}

// === impl Unverified ===

impl<'a> Unverified<'a> {
    /// Reads the header. Algorithms without a public key (`none`, HMAC) are refused here: with them the
    /// provider's public key would be everybody's signing key (RFC 8725 section 3.1).
    pub(super) fn parse(text: &'a str) -> Result<Self, ProviderError> {
        let header = jsonwebtoken::decode_header(text)
            .map_err(|_| refused("it is no signed JWT, or its algorithm is not allowed"))?;
        if header.alg.family() == AlgorithmFamily::Hmac {
            return Err(refused("its algorithm is not allowed"));
        }
        // RFC 7515 section 4.1.11: what we are told that we must understand, and do not.
        if header.crit.is_some() {
            return Err(refused("its header has critical extensions"));
        }
        Ok(Self { text, header })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.alg
    }

    /// The claims, where the key has signed them.
    pub(super) fn verify(&self, key: &Key) -> Result<Claims, ProviderError> {
        let mut validation = Validation::new(self.header.alg);
        // The library would ask the machine's clock; [`check`] takes `now`, and the rest in one place.
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let token = jsonwebtoken::decode::<Claims>(self.text, key.decoding_key(), &validation)
            .map_err(|_| refused("its signature is wrong, or a claim is missing"))?;
        Ok(Claims { key_issuer: key.issuer().map(ToOwned::to_owned), ..token.claims })
    }
}

// === impl Claims ===

impl Claims {
    /// A claim of the provider's own, where it is a text.
    pub(in crate::provider) fn text(&self, name: &str) -> Option<&str> {
        identity::text(&self.further, name)
    }
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

#[cfg(test)]
mod tests;

//! The text of tokens: `pcl_at_` + 43 random base62 characters (256 bits) + 6 characters of CRC-32.
//!
//! The prefix lets secret scanners know a leaked token; the checksum refuses garbage without a look-up.
//! Neither is a defence: what counts is that the 256 bits cannot be guessed, and that only their
//! SHA-256 is ever stored.

use std::fmt;
use std::marker::PhantomData;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::ids::TokenId;
use crate::random::{self, Random};

const BODY: usize = 43;
const CHECKSUM: usize = 6;

/// What every token of ours begins with, of whichever kind.
pub const PREFIX: &str = "pcl_";

/// A kind of token: what its prefix is.
pub trait Kind: Copy {
    /// The text that every token of this kind begins with.
    const PREFIX: &'static str;
}

/// Lets a client call an MCP server (RFC 6749 section 1.4).
#[derive(Debug, Clone, Copy)]
pub struct Access;

/// Gets a client its next access token (RFC 6749 section 1.5).
#[derive(Debug, Clone, Copy)]
pub struct Refresh;

/// Gets a client its first tokens (RFC 6749 section 1.3.1).
#[derive(Debug, Clone, Copy)]
pub struct Code;

/// Authenticates a confidential client (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy)]
pub struct ClientSecret;

impl Kind for Access {
    const PREFIX: &'static str = "pcl_at_";
}

impl Kind for Refresh {
    const PREFIX: &'static str = "pcl_rt_";
}

impl Kind for Code {
    const PREFIX: &'static str = "pcl_ac_";
}

impl Kind for ClientSecret {
    const PREFIX: &'static str = "pcl_cs_";
}

/// A token that we have made: shown once to the client, kept by nobody.
#[derive(Debug)]
pub struct Token<K> {
    text: SecretString,
    kind: PhantomData<K>,
}

/// A text that somebody presents and that has a token's form. Whether there is such a token, only the
/// store knows.
#[derive(Clone, Copy)]
pub struct Presented<'a, K> {
    text: &'a str,
    kind: PhantomData<K>,
}

/// Why a text cannot be a token.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// Another kind of token, or none of ours.
    #[error("the token's prefix is not {expected}")]
    Prefix {
        /// What it should have been.
        expected: &'static str,
    },
    /// Cut off, or more than a token.
    #[error("the token's length is wrong")]
    Length,
    /// Not base62, or mistyped.
    #[error("the token's checksum is wrong")]
    Checksum,
}

// === impl Token ===

impl<K: Kind> Token<K> {
    /// Draws a new token.
    pub fn generate(random: &dyn Random) -> Self {
        let mut text = String::with_capacity(K::PREFIX.len() + BODY + CHECKSUM);
        text.push_str(K::PREFIX);
        text.push_str(&Zeroizing::new(random::base62(random, BODY)));
        text.extend(checksum(&text).map(char::from).collect::<Vec<_>>());
        Self { text: text.into(), kind: PhantomData }
    }

    /// The text, for the one answer that carries it to the client.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// The same token as its holder will present it.
    pub fn as_presented(&self) -> Presented<'_, K> {
        Presented { text: self.expose(), kind: PhantomData }
    }

    /// What is stored in the token's place.
    pub fn id(&self) -> TokenId {
        self.as_presented().id()
    }
}

// === impl Presented ===

impl<'a, K: Kind> Presented<'a, K> {
    /// Accepts a text with the right prefix, length and checksum.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        if !text.starts_with(K::PREFIX) {
            return Err(TokenError::Prefix { expected: K::PREFIX });
        }
        if text.len() != K::PREFIX.len() + BODY + CHECKSUM {
            return Err(TokenError::Length);
        }
        // Not `split_at`: the text may have a character that starts before the cut and ends after it.
        let (signed, claimed) = text.split_at_checked(text.len() - CHECKSUM).ok_or(TokenError::Checksum)?;
        if !checksum(signed).eq(claimed.bytes()) {
            return Err(TokenError::Checksum);
        }
        Ok(Self { text, kind: PhantomData })
    }

    /// What the token is stored under.
    pub fn id(&self) -> TokenId {
        TokenId::of(self.text)
    }

    pub(crate) fn expose(&self) -> &'a str {
        self.text
    }
}

impl<K: Kind> fmt::Debug for Presented<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[REDACTED]", K::PREFIX)
    }
}

fn checksum(text: &str) -> impl Iterator<Item = u8> + use<> {
    random::base62_number(crc32fast::hash(text.as_bytes()), CHECKSUM)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest;
    use proptest::prelude::*;

    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_new_token_parses_as_its_own_kind_only() {
        let token = Token::<Access>::generate(&SystemRandom);
        assert_eq!(token.expose().len(), 56);
        let presented = Presented::<Access>::parse(token.expose()).unwrap();
        assert_eq!(presented.id(), token.id());
        assert_eq!(
            Presented::<Refresh>::parse(token.expose()).unwrap_err(),
            TokenError::Prefix { expected: "pcl_rt_" }
        );
    }

    #[test]
    fn the_id_is_sha256_of_the_text() {
        let text = "pcl_at_0000000000000000000000000000000000000000000";
        let text = format!("{text}{}", checksum(text).map(char::from).collect::<String>());
        let id = Presented::<Access>::parse(&text).unwrap().id();
        assert_eq!(id.as_bytes(), digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    }

    #[test]
    fn debug_shows_no_token() {
        let token = Token::<Access>::generate(&SystemRandom);
        let body = &token.expose()[7..];
        assert!(!format!("{token:?}").contains(body));
        assert!(!format!("{:?}", token.as_presented()).contains(body));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = Presented::<Access>::parse(&text);
            let _ = Presented::<Access>::parse(&format!("pcl_at_{text}"));
        }

        #[test]
        fn one_changed_character_is_noticed(at in 7_usize..56, to in "[0-9A-Za-z]") {
            let token = Token::<Access>::generate(&SystemRandom);
            let mut text = token.expose().to_owned();
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert_eq!(Presented::<Access>::parse(&text).unwrap_err(), TokenError::Checksum);
        }
    }
}

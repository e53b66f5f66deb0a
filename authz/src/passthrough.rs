//! Requests that bring the MCP server's own kind of token, where its configuration lets them through unchanged.

use portcullis_proto::ids::TokenId;
use portcullis_proto::token;

use crate::catalog::Server;

/// Longest token that is let through, in bytes.
const MAX_TOKEN: usize = 4096;

/// A bearer token (RFC 6750 section 2.1) that is none of ours. Whether it is good, only the MCP server knows.
#[derive(Clone, Copy)]
pub struct Foreign<'a>(&'a str);

/// The right to let one request through with the token that it came with. Only [`pass_through`] makes one.
#[derive(Debug)]
pub struct PassThrough {
    token: TokenId,
}

/// Decides whether a token that is none of ours may go through to `server`.
pub fn pass_through(server: &Server, token: Foreign<'_>) -> Option<PassThrough> {
    let known = server.passthrough.iter().any(|prefix| !prefix.is_empty() && token.0.starts_with(prefix));
    known.then(|| PassThrough { token: TokenId::of(token.0) })
}

// === impl Foreign ===

impl<'a> Foreign<'a> {
    /// Takes what RFC 6750 calls a `b64token`. It has no comma, with which Envoy joins repeated headers, and no `!`,
    /// which Envoy puts for bytes that are not text.
    pub fn parse(text: &'a str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let body = text.trim_end_matches('=');
        let good = !body.is_empty() && body.bytes().all(plain) && text.len() <= MAX_TOKEN;
        (good && !text.starts_with(token::PREFIX)).then_some(Self(text))
    }
}

// === impl PassThrough ===

impl PassThrough {
    /// SHA-256 of the token that the request came with.
    pub fn token(&self) -> TokenId {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::token::{Access, Refresh, Token};

    use super::*;
    use crate::testing::server;

    fn passes(prefixes: &[&str], text: &str) -> bool {
        let passthrough = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        let server = Server { passthrough, ..server() };
        Foreign::parse(text).and_then(|token| pass_through(&server, token)).is_some()
    }

    #[test]
    fn a_token_with_a_configured_prefix_goes_through_and_no_other() {
        for text in ["ghp_abc", "github_pat_11ABC_def", "ghp_a+b/c==", "ghp_"] {
            assert!(passes(&["ghp_", "github_pat_"], text), "{text}");
            assert!(!passes(&[], text), "{text}");
        }
        for text in ["gho_abc", "GHP_abc", "xghp_abc", "ghp", "g", "", "="] {
            assert!(!passes(&["ghp_", "github_pat_"], text), "{text}");
        }
    }

    #[test]
    fn t24_what_is_no_single_plain_token_does_not_go_through() {
        let long = format!("ghp_{}", "a".repeat(MAX_TOKEN));
        for text in [
            "ghp_a,ghp_b",
            "ghp_a ghp_b",
            "ghp_a,Bearer ghp_b",
            "ghp_a!",
            "ghp_a\u{e9}",
            "ghp_a\t",
            "ghp_a=b",
            &long,
        ] {
            assert!(!passes(&["ghp_"], text), "{text}");
        }
        assert!(passes(&["ghp_"], &long[..MAX_TOKEN]));
    }

    #[test]
    fn t07_no_prefix_lets_a_token_of_ours_through() {
        let (access, refresh) =
            (Token::<Access>::generate(&SystemRandom), Token::<Refresh>::generate(&SystemRandom));
        for text in [access.expose(), refresh.expose(), "pcl_made_up"] {
            assert!(!passes(&["pcl_", "pcl", "p", ""], text));
        }
        assert!(!passes(&[""], "anything"));
    }

    #[test]
    fn the_right_names_the_token_by_its_hash() {
        let server = Server { passthrough: vec!["ghp_".to_owned()], ..server() };
        let right = pass_through(&server, Foreign::parse("ghp_secret").unwrap()).unwrap();
        assert_eq!(right.token(), TokenId::of("ghp_secret"));
        assert!(!format!("{right:?}").contains("secret"));
    }
}

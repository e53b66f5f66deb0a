//! The `WWW-Authenticate` header of a 401 or 403 (RFC 6750 section 3, RFC 9728 section 5.1).

use bytestring::ByteString;

use crate::catalog::Server;
use crate::decide::Refusal;

/// Error code and description. A client that has shown no token is only told so in the body: RFC 6750
/// section 3.1 wants no code in the challenge then.
pub(super) fn error(refusal: Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::MissingToken => ("invalid_request", "An access token is needed"),
        Refusal::Malformed => {
            ("invalid_token", "The Authorization header is not an access token of this server")
        }
        Refusal::Unknown => ("invalid_token", "The access token is not known"),
        Refusal::Expired => ("invalid_token", "The access token has expired"),
        Refusal::WrongServer => ("invalid_token", "The access token is for another server"),
        Refusal::Revoked => ("invalid_token", "The access token was revoked"),
        Refusal::InsufficientScope => ("insufficient_scope", "The access token lacks a required scope"),
    }
}

/// Where to get a token, for which scopes, and what is wrong with the one that came, which has `granted`.
///
/// Where scopes are missing, those that are granted already are named beside them: clients of MCP 2025-11-25 ask for
/// what is named and for nothing else, and would lose the others with their next token. Later ones add what they had by
/// themselves. Scopes that the server has no more are left out, since nobody could grant them.
pub(super) fn www_authenticate(refusal: Refusal, server: &Server, granted: &[ByteString]) -> String {
    let is_wanted = |&scope: &&str| match refusal {
        Refusal::InsufficientScope => {
            server.required_scopes.iter().any(|other| other == scope)
                || granted.iter().any(|own| own == scope)
        }
        _ => true,
    };
    let scopes: Vec<&str> = server.scopes.iter().map(String::as_str).filter(is_wanted).collect();
    let mut challenge = format!("Bearer resource_metadata={}", quoted(&server.resource_metadata));
    if !scopes.is_empty() {
        challenge.push_str(", scope=");
        challenge.push_str(&quoted(&scopes.join(" ")));
    }
    if refusal != Refusal::MissingToken {
        let (error, description) = error(refusal);
        for part in [", error=", &quoted(error), ", error_description=", &quoted(description)] {
            challenge.push_str(part);
        }
    }
    challenge
}

/// A quoted-string (RFC 9110 section 5.6.4). Characters that it cannot have are left out.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars().filter(|character| matches!(character, ' '..='~')) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::server;

    const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/demo";

    #[test]
    fn a_client_without_a_token_gets_no_error_code() {
        assert_eq!(
            www_authenticate(Refusal::MissingToken, &server(), &[]),
            format!(r#"Bearer resource_metadata="{METADATA}", scope="openid tools""#)
        );
    }

    #[test]
    fn a_token_that_will_not_do_is_invalid() {
        for refusal in
            [Refusal::Malformed, Refusal::Unknown, Refusal::Expired, Refusal::WrongServer, Refusal::Revoked]
        {
            let challenge = www_authenticate(refusal, &server(), &["openid".into()]);
            assert!(challenge.starts_with(&format!(
                r#"Bearer resource_metadata="{METADATA}", scope="openid tools", error="invalid_token", error_description=""#
            )));
        }
    }

    #[test]
    fn a_token_that_lacks_scopes_is_told_which() {
        let challenge = www_authenticate(Refusal::InsufficientScope, &server(), &[]);
        assert!(challenge.contains(r#"scope="tools", error="insufficient_scope""#), "{challenge}");
    }

    #[test]
    fn a_token_that_lacks_scopes_keeps_those_that_it_has() {
        let scopes = ["a", "b", "c", "d", "e"].map(String::from).to_vec();
        let server = Server { scopes, required_scopes: vec!["d".into(), "b".into()], ..server() };
        let granted = ["gone", "d", "a"].map(ByteString::from);
        let challenge = www_authenticate(Refusal::InsufficientScope, &server, &granted);
        assert!(challenge.contains(r#"scope="a b d", error="insufficient_scope""#), "{challenge}");
    }

    #[test]
    fn no_scope_is_named_where_there_is_none() {
        let server = Server { scopes: Vec::new(), ..server() };
        let challenge = www_authenticate(Refusal::MissingToken, &server, &[]);
        assert_eq!(challenge, format!(r#"Bearer resource_metadata="{METADATA}""#));
    }

    #[test]
    fn no_text_leaves_its_quotes() {
        assert_eq!(quoted("a\"b\\c\r\nd\u{e9}"), r#""a\"b\\cd""#);
    }
}

//! Requests to the token and revocation endpoints: who sends them, and what they ask.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_proto::ids::ClientId;
use portcullis_proto::token::{Code, Presented, Refresh};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::assertion;
use super::client::Credentials;
use super::error::{ErrorCode, OAuthError};
use super::params::{self, Params};
use super::pkce::CodeVerifier;
use super::scope::Scopes;

/// A well-formed token request. Whether it is granted is another question.
#[derive(Debug)]
pub enum TokenRequest<'a> {
    /// RFC 6749 section 4.1.3, with RFC 7636 section 4.5.
    AuthorizationCode {
        /// `code`.
        code: Presented<'a, Code>,
        /// `redirect_uri`.
        redirect_uri: Option<&'a str>,
        /// `code_verifier`.
        verifier: CodeVerifier,
        /// `resource`.
        resource: Option<&'a str>,
    },
    /// RFC 6749 section 6.
    RefreshToken {
        /// `refresh_token`.
        token: Presented<'a, Refresh>,
        /// `scope`: the same or fewer.
        scope: Option<Scopes>,
        /// `resource`.
        resource: Option<&'a str>,
    },
}

// === impl TokenRequest ===

impl<'a> TokenRequest<'a> {
    /// Reads the form.
    pub fn parse(params: &'a Params) -> Result<Self, OAuthError> {
        match params.require("grant_type")? {
            "authorization_code" => Ok(Self::AuthorizationCode {
                code: Presented::parse(params.require("code")?).map_err(|_| OAuthError::invalid_grant())?,
                redirect_uri: params.get("redirect_uri"),
                verifier: match params.get("code_verifier") {
                    Some(text) => CodeVerifier::parse(text)?,
                    None => {
                        return Err(OAuthError::new(ErrorCode::InvalidGrant, "code_verifier is missing"));
                    }
                },
                resource: params.get("resource"),
            }),
            "refresh_token" => Ok(Self::RefreshToken {
                token: Presented::parse(params.require("refresh_token")?)
                    .map_err(|_| OAuthError::invalid_grant())?,
                scope: params.get("scope").map(Scopes::parse).transpose()?,
                resource: params.get("resource"),
            }),
            _ => Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                "grant_type must be authorization_code or refresh_token",
            )),
        }
    }

    /// `grant_type`.
    pub const fn grant_type(&self) -> &'static str {
        match self {
            Self::AuthorizationCode { .. } => "authorization_code",
            Self::RefreshToken { .. } => "refresh_token",
        }
    }
}

/// Who sends the request, by an assertion, the `Authorization` header or the form (RFC 6749 section 2.3), in one way.
pub fn credentials(authorization: Option<&str>, params: &Params) -> Result<Credentials, OAuthError> {
    let credentials = presented(authorization, params)?;
    if credentials.client().as_str().is_empty() {
        return Err(OAuthError::new(ErrorCode::InvalidClient, "the client's identifier is empty"));
    }
    Ok(credentials)
}

fn presented(authorization: Option<&str>, params: &Params) -> Result<Credentials, OAuthError> {
    if let Some(credentials) = assertion::credentials(authorization, params)? {
        return Ok(credentials);
    }
    let in_form = (params.get("client_id"), params.get("client_secret"));
    match (authorization, in_form) {
        (Some(header), (id, None)) => {
            let credentials = basic(header).ok_or_else(|| {
                OAuthError::new(ErrorCode::InvalidClient, "the Authorization header is not valid HTTP Basic")
            })?;
            if id.is_some_and(|id| id != credentials.client().as_str()) {
                return Err(OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "client_id is not the one in the Authorization header",
                ));
            }
            Ok(credentials)
        }
        (Some(_), (_, Some(_))) => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "the client authenticates in two ways at once: Authorization header and client_secret",
        )),
        (None, (Some(id), Some(secret))) => Ok(Credentials::Post(ClientId::new(id), secret.into())),
        (None, (Some(id), None)) => Ok(Credentials::Public(ClientId::new(id))),
        (None, (None, _)) => Err(OAuthError::new(ErrorCode::InvalidClient, "client_id is missing")),
    }
}

fn basic(header: &str) -> Option<Credentials> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Credentials::Basic(
        ClientId::new(params::decode(id).ok()?.as_str()),
        SecretString::from(params::decode(secret).ok()?.as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::token::Token;

    use super::*;

    fn refusal(form: &str) -> ErrorCode {
        TokenRequest::parse(&Params::parse(form).unwrap()).unwrap_err().code
    }

    #[test]
    fn each_fault_has_its_code() {
        let code = Token::<Code>::generate(&SystemRandom);
        let code = code.expose();
        assert_eq!(refusal(""), ErrorCode::InvalidRequest);
        assert_eq!(refusal("grant_type=password"), ErrorCode::UnsupportedGrantType);
        assert_eq!(refusal("grant_type=authorization_code"), ErrorCode::InvalidRequest);
        assert_eq!(refusal("grant_type=authorization_code&code=made-up"), ErrorCode::InvalidGrant);
        assert_eq!(refusal("grant_type=refresh_token"), ErrorCode::InvalidRequest);
        assert_eq!(
            refusal(&format!("grant_type=refresh_token&refresh_token={code}")),
            ErrorCode::InvalidGrant
        );
    }

    #[test]
    fn t04_a_missing_or_odd_verifier_is_invalid_grant() {
        let code = Token::<Code>::generate(&SystemRandom);
        let form = format!("grant_type=authorization_code&code={}", code.expose());
        assert_eq!(refusal(&form), ErrorCode::InvalidGrant);
        assert_eq!(refusal(&format!("{form}&code_verifier=short")), ErrorCode::InvalidGrant);
    }

    #[test]
    fn clients_say_who_they_are_in_one_way() {
        let of = |header: Option<&str>, form: &str| credentials(header, &Params::parse(form).unwrap());
        let basic = format!("Basic {}", BASE64_STANDARD.encode("my%3Aid:se+cret"));
        assert_eq!(of(Some(&basic), "").unwrap().client(), &ClientId::new("my:id"));
        assert!(matches!(of(None, "client_id=c"), Ok(Credentials::Public(_))));
        assert!(matches!(of(None, "client_id=c&client_secret=s"), Ok(Credentials::Post(..))));
        let code = |header, form| of(header, form).unwrap_err().code;
        assert_eq!(code(None, ""), ErrorCode::InvalidClient);
        assert_eq!(code(Some("Bearer x"), ""), ErrorCode::InvalidClient);
        let nobody = format!("Basic {}", BASE64_STANDARD.encode(":secret"));
        assert_eq!(code(Some(&nobody), ""), ErrorCode::InvalidClient);
        let assertion =
            "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiAiYyIsICJzdWIiOiAiIn0.c2lnbmF0dXJl"; // `sub: ""`
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let unnamed = format!("client_assertion_type={kind}&client_assertion={assertion}");
        assert_eq!(code(None, &unnamed), ErrorCode::InvalidClient);
        assert_eq!(code(Some(&basic), "client_id=other"), ErrorCode::InvalidRequest);
        assert_eq!(code(Some(&basic), "client_secret=s"), ErrorCode::InvalidRequest);
    }
}

//! What clients are told when something is wrong: little, and in the words of the RFCs.

use http::StatusCode;
use serde::Serialize;

use crate::limit::Limit;

use super::{code, params, pkce, redirect_uri, registration, resource, scope};

/// An OAuth error response (RFC 6749 sections 4.1.2.1 and 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OAuthError {
    /// The code.
    #[serde(rename = "error")]
    pub code: ErrorCode,
    /// For the client's developer; names the parameter that is wrong.
    #[serde(rename = "error_description")]
    pub description: String,
    /// The limit that was reached, where it was one. For our own metrics.
    #[serde(skip)]
    pub limit: Option<Limit>,
}

/// The codes that we use, each from the RFC named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// RFC 6749 section 5.2.
    InvalidRequest,
    /// RFC 6749 section 5.2.
    InvalidClient,
    /// RFC 6749 section 5.2.
    InvalidGrant,
    /// RFC 6749 section 5.2.
    UnsupportedGrantType,
    /// RFC 6749 section 4.1.2.1.
    UnsupportedResponseType,
    /// RFC 6749 section 5.2.
    InvalidScope,
    /// RFC 8707 section 2.
    InvalidTarget,
    /// RFC 6749 section 4.1.2.1.
    AccessDenied,
    /// RFC 6749 section 4.1.2.1.
    ServerError,
    /// RFC 6749 section 4.1.2.1.
    TemporarilyUnavailable,
    /// RFC 7591 section 3.2.2.
    InvalidRedirectUri,
    /// RFC 7591 section 3.2.2.
    InvalidClientMetadata,
}

// === impl OAuthError ===

impl OAuthError {
    /// An error with a description, of which the characters that RFC 6749 forbids are replaced.
    pub fn new(code: ErrorCode, description: impl AsRef<str>) -> Self {
        let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        let description = description.as_ref().chars().map(|c| if allowed(c) { c } else { '\'' });
        Self { code, description: description.take(300).collect(), limit: None }
    }

    /// The same, because of a limit.
    #[must_use]
    pub fn because_of(self, limit: impl Into<Option<Limit>>) -> Self {
        Self { limit: limit.into(), ..self }
    }

    /// What a client is told that is not to blame for it, and may try again.
    pub fn limited(limit: Limit) -> Self {
        Self::new(ErrorCode::TemporarilyUnavailable, limit.reached()).because_of(limit)
    }

    /// A code or refresh token that is not good, for whatever reason: RFC 6749 has one code for all.
    pub fn invalid_grant() -> Self {
        Self::new(ErrorCode::InvalidGrant, "the code or refresh token is unknown, expired, used or revoked")
    }

    /// A failure of ours; what it was is in the log.
    pub fn server_error() -> Self {
        Self::new(ErrorCode::ServerError, "something went wrong here")
    }

    /// The HTTP status of the token, revocation and registration endpoints' answer.
    pub const fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::InvalidRequest
            | ErrorCode::InvalidGrant
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::UnsupportedResponseType
            | ErrorCode::InvalidScope
            | ErrorCode::InvalidTarget
            | ErrorCode::AccessDenied
            | ErrorCode::InvalidRedirectUri
            | ErrorCode::InvalidClientMetadata => StatusCode::BAD_REQUEST,
        }
    }
}

// === impl ErrorCode ===

impl ErrorCode {
    /// The code as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
        }
    }
}

// === what each rule's error becomes ===

impl From<params::ParamsError> for OAuthError {
    fn from(error: params::ParamsError) -> Self {
        let limit = (error == params::ParamsError::TooMany).then_some(Limit::Parameters);
        Self::new(ErrorCode::InvalidRequest, error.to_string()).because_of(limit)
    }
}

impl From<scope::ScopeError> for OAuthError {
    fn from(error: scope::ScopeError) -> Self {
        Self::new(ErrorCode::InvalidScope, error.to_string())
    }
}

impl From<resource::ResourceError> for OAuthError {
    fn from(error: resource::ResourceError) -> Self {
        Self::new(ErrorCode::InvalidTarget, error.to_string())
    }
}

impl From<pkce::PkceError> for OAuthError {
    fn from(error: pkce::PkceError) -> Self {
        let code = match error {
            pkce::PkceError::MissingChallenge | pkce::PkceError::Method | pkce::PkceError::Challenge => {
                ErrorCode::InvalidRequest
            }
            pkce::PkceError::Verifier => ErrorCode::InvalidGrant,
        };
        Self::new(code, error.to_string())
    }
}

impl From<code::Refused> for OAuthError {
    fn from(refused: code::Refused) -> Self {
        let code = match refused {
            code::Refused::Resource => ErrorCode::InvalidTarget,
            code::Refused::Expired
            | code::Refused::Client
            | code::Refused::RedirectUri
            | code::Refused::Verifier => ErrorCode::InvalidGrant,
        };
        Self::new(code, refused.to_string())
    }
}

impl From<redirect_uri::RedirectUriError> for OAuthError {
    fn from(error: redirect_uri::RedirectUriError) -> Self {
        let limit = (error == redirect_uri::RedirectUriError::TooLong).then_some(Limit::RedirectUris);
        Self::new(ErrorCode::InvalidRedirectUri, error.to_string()).because_of(limit)
    }
}

impl From<registration::MetadataError> for OAuthError {
    fn from(error: registration::MetadataError) -> Self {
        match error {
            registration::MetadataError::RedirectUri(error) => error.into(),
            other => {
                let limit = other.limit();
                Self::new(ErrorCode::InvalidClientMetadata, other.to_string()).because_of(limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_have_only_the_characters_of_the_rfc() {
        let error = OAuthError::new(ErrorCode::InvalidRequest, "a\"b\\c\r\nd\u{e9}");
        assert_eq!(error.description, "a'b'c''d'");
    }

    #[test]
    fn the_code_is_sent_as_the_rfc_writes_it() {
        let json = serde_json::to_value(OAuthError::invalid_grant()).unwrap();
        assert_eq!(json["error"], ErrorCode::InvalidGrant.as_str());
    }
}

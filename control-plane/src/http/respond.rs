//! Answers of the endpoints that speak JSON.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_proto::seal::OpenError;

use crate::limit::Limit;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::store::StoreError;

/// An OAuth error as an HTTP answer.
#[derive(Debug)]
pub struct Failure(pub OAuthError);

// === impl Failure ===

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let mut response = reached(error.limit, no_store((error.status(), Json(&error)).into_response()));
        let headers = response.headers_mut();
        // RFC 6749 section 5.2 asks for it where the client used the header; RFC 9110 section 15.5.2 always.
        if error.code == ErrorCode::InvalidClient {
            let challenge = HeaderValue::from_static("Basic realm=\"portcullis\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if error.code == ErrorCode::TemporarilyUnavailable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

impl<E: Into<OAuthError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::new(ErrorCode::TemporarilyUnavailable, "this service has a problem; try again later")
    }
}

impl From<OpenError> for OAuthError {
    fn from(error: OpenError) -> Self {
        tracing::error!(%error, "is a master key missing from the ring?");
        Self::server_error()
    }
}

/// Says of an answer that it is what it is because of a limit, where that is so. The router counts it.
pub fn reached(limit: impl Into<Option<Limit>>, mut response: Response) -> Response {
    if let Some(limit) = limit.into() {
        response.extensions_mut().insert(limit);
    }
    response
}

/// Marks an answer as one that no cache may keep (RFC 6749 section 5.1).
pub fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// JSON that has been serialized before.
pub fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response {
    no_store((status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

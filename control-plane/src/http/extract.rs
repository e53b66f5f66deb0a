//! What handlers take from a request.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::respond::Failure;
use super::router::MAX_BODY;
use crate::app::App;
use crate::issuer::Issuer;
use crate::limit::Limit;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::params::Params;

/// Where the edge says which issuer a request is for. The edge takes this header from clients.
const ORIGIN_HEADER: &str = "x-portcullis-origin";

/// The issuer that the request is for.
#[derive(Clone, Debug)]
pub struct AtIssuer(pub Arc<Issuer>);

/// A form body, decoded.
#[derive(Debug)]
pub struct Form(pub Params);

/// A JSON body, as it came.
#[derive(Debug)]
pub struct JsonBody(pub Bytes);

impl FromRequestParts<Arc<App>> for AtIssuer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let origin = single(&parts.headers, ORIGIN_HEADER);
        app.issuers.named(origin).map(Self).ok_or_else(|| {
            (StatusCode::MISDIRECTED_REQUEST, "the edge has not said which issuer is meant\n").into_response()
        })
    }
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let code = ErrorCode::InvalidRequest;
        let body = body(request, app, "application/x-www-form-urlencoded", code).await?;
        let text = std::str::from_utf8(&body).map_err(|_| refuse(code, "the body is not UTF-8"))?;
        Params::parse(text).map(Self).map_err(|error| Failure(error.into()).into_response())
    }
}

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        body(request, app, "application/json", ErrorCode::InvalidClientMetadata).await.map(Self)
    }
}

/// The body, where it is of this media type and not too long.
async fn body(
    request: Request,
    app: &Arc<App>,
    media_type: &str,
    code: ErrorCode,
) -> Result<Bytes, Response> {
    if !is_media_type(request.headers(), media_type) {
        return Err(refuse(code, &format!("Content-Type must be {media_type}")));
    }
    Bytes::from_request(request, app).await.map_err(|rejection| {
        let status = rejection.status();
        let error = if status == StatusCode::PAYLOAD_TOO_LARGE {
            let description = format!("the body has more than {MAX_BODY} bytes");
            OAuthError::new(code, description).because_of(Limit::Body)
        } else {
            OAuthError::new(code, "the body was cut off")
        };
        let mut response = Failure(error).into_response();
        *response.status_mut() = status;
        response
    })
}

fn refuse(code: ErrorCode, description: &str) -> Response {
    Failure(OAuthError::new(code, description)).into_response()
}

/// Whether the body is said to be of this type, whatever its parameters.
fn is_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    single(headers, header::CONTENT_TYPE.as_str()).is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(wanted)
    })
}

/// A header's value, where it is there exactly once and is text.
pub fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

//! Every request to a provider goes through here: one client, one set of limits.

use std::error::Error as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use super::ProviderError;

/// How long connecting may take, of the deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a whole request may take, its answer's body included.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Longest body of an answer, in bytes. The largest in use are key sets with certificates in them.
const MAX_BODY: usize = 64 * 1024;

const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// The client that all providers share. A clone is the same client.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

// === impl Http ===

impl Http {
    /// Fails where there are no root certificates to trust.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::with_deadline(DEADLINE)
    }

    /// With another deadline for a whole request than 10 s.
    pub fn with_deadline(deadline: Duration) -> Result<Self, reqwest::Error> {
        // A redirect is never followed: the request carries a secret, and an endpoint is where it was said to be.
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT.min(deadline))
            .timeout(deadline)
            .build()
            .map(Self)
    }

    /// Asks, and takes the answer whole. An answer that says nothing about the question (it redirects, or the
    /// provider is overloaded or broken) is an error.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ProviderError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|_| ProviderError::Malformed("an endpoint is no URL".into()))?;
        if !is_safe(request.url()) {
            return Err(ProviderError::Malformed("an endpoint is neither https nor on loopback".into()));
        }
        let mut answer = self.0.execute(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        if may_pass(status) || is_rate_limit(status, answer.headers()) {
            let reason = format!("HTTP {}", status.as_u16());
            return Err(match retry_after(answer.headers()) {
                Some(retry_after) => ProviderError::Busy { reason, retry_after },
                None => ProviderError::Unreachable(reason),
            });
        }
        if status.is_redirection() {
            return Err(ProviderError::Malformed(format!("it redirects: HTTP {}", status.as_u16())));
        }

        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(ProviderError::Malformed(format!("it is longer than {MAX_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = Response::new(body);
        *whole.status_mut() = status;
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(whole)
    }

    /// Gets a URL with a header that carries a secret, and tells the status alone.
    pub async fn probe(
        &self,
        url: &Url,
        name: &str,
        mut value: HeaderValue,
    ) -> Result<StatusCode, ProviderError> {
        let mut request = request(Method::GET, "the endpoint", url, None)?;
        let name = HeaderName::try_from(name)
            .map_err(|_| ProviderError::Malformed("the header has no name".into()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
        Ok(self.send(request).await?.status())
    }

    /// Posts a JSON document, with `bearer` as the access token. The answer is for the caller to read.
    pub(super) async fn post_json(
        &self,
        url: &Url,
        bearer: Option<&SecretString>,
        body: &Value,
    ) -> Result<Response<Vec<u8>>, ProviderError> {
        let mut request = request(Method::POST, "the endpoint", url, bearer)?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = body.to_string().into_bytes();
        self.send(request).await
    }

    /// Has what the URL names removed.
    pub(super) async fn delete(
        &self,
        url: &Url,
        bearer: &SecretString,
    ) -> Result<Response<Vec<u8>>, ProviderError> {
        self.send(request(Method::DELETE, "the endpoint", url, Some(bearer))?).await
    }

    /// Gets a JSON document; `what` names it in errors. `bearer` goes along as the access token.
    pub(super) async fn get_json<T: DeserializeOwned>(
        &self,
        what: &str,
        url: &Url,
        bearer: Option<&SecretString>,
    ) -> Result<T, ProviderError> {
        let found = self.find_json(what, url, bearer).await?;
        found.map_err(|status| ProviderError::Refused(format!("{what}: HTTP {}", status.as_u16())))
    }

    /// The same where there may be none, or none that the app may see: then its status, 404 or 403.
    pub(super) async fn find_json<T: DeserializeOwned>(
        &self,
        what: &str,
        url: &Url,
        bearer: Option<&SecretString>,
    ) -> Result<Result<T, StatusCode>, ProviderError> {
        let request = request(Method::GET, what, url, bearer)?;
        let answer = self.send(request).await.map_err(|error| error.about(what))?;
        match answer.status() {
            // What serde says would quote the body.
            StatusCode::OK => serde_json::from_slice(answer.body())
                .map(Ok)
                .map_err(|_| ProviderError::Malformed(format!("{what} is not the JSON that it must be"))),
            none @ (StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) => Ok(Err(none)),
            other => Err(ProviderError::Refused(format!("{what}: HTTP {}", other.as_u16()))),
        }
    }
}

// === impl ProviderError ===

impl ProviderError {
    /// The same, said of `what`.
    fn about(self, what: &str) -> Self {
        match self {
            Self::Unreachable(reason) => Self::Unreachable(format!("{what}: {reason}")),
            Self::Busy { reason, retry_after } => {
                Self::Busy { reason: format!("{what}: {reason}"), retry_after }
            }
            Self::Malformed(reason) => Self::Malformed(format!("{what}: {reason}")),
            other => other,
        }
    }
}

/// A request that asks for JSON; `what` names its URL in errors. `bearer` goes along as the access token.
fn request(
    method: Method,
    what: &str,
    url: &Url,
    bearer: Option<&SecretString>,
) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = method;
    *request.uri_mut() =
        url.as_str().parse().map_err(|_| ProviderError::Malformed(format!("{what} has no URL")))?;
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(token) = bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ProviderError::Malformed("access_token fits in no header".into()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

/// Whether a request may go there: https, or http to this very machine.
pub(super) fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback_http(url)
}

/// Whether this is http to this very machine.
pub(super) fn is_loopback_http(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && loopback
}

/// Whether the status is about the provider's state rather than about the request.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Whether a 403 is about how much was asked, not about what: GitHub's, by its "Rate limits for the REST API".
fn is_rate_limit(status: StatusCode, headers: &HeaderMap) -> bool {
    let used_up = || headers.get("x-ratelimit-remaining").is_some_and(|remaining| remaining == "0");
    status == StatusCode::FORBIDDEN && (headers.contains_key(header::RETRY_AFTER) || used_up())
}

/// `Retry-After` in seconds. A date is not read: whoever waits has a pause of their own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// What may be said of a failed request: never its URL, and never what the other side wrote.
fn unreachable(error: &reqwest::Error) -> ProviderError {
    ProviderError::Unreachable(if error.is_timeout() {
        "no answer in time".into()
    } else if error.is_connect() {
        // Nothing has been sent yet: the cause is the operating system's or the certificate check's.
        let mut cause = error.source();
        while let Some(deeper) = cause.and_then(std::error::Error::source) {
            cause = Some(deeper);
        }
        cause.map_or_else(|| "no connection".into(), |cause| format!("no connection: {cause}"))
    } else {
        "the connection broke".into()
    })
}

#[cfg(test)]
mod tests;

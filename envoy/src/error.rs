//! Why an edge cannot be rendered.

use std::path::PathBuf;

use thiserror::Error;
use url::Url;

/// Why an edge cannot be rendered.
#[derive(Debug, Error)]
pub enum RenderError {
    /// Nobody could permit a request.
    #[error("there is no authz instance")]
    NoAuthz,
    /// Not what a browser sends as `Origin`.
    #[error(
        "allowed origin {0:?} is not an origin: write https://host or https://host:port, and nothing more"
    )]
    AllowedOrigin(String),
    /// Neither http nor https.
    #[error("a public origin is neither http nor https")]
    Origin,
    /// Envoy could not tell two origins apart.
    #[error("two origins answer to the same authority, {0}")]
    SharedAuthority(String),
    /// Two servers, one name.
    #[error("two servers are named {0}")]
    SameName(String),
    /// Two servers, one URL.
    #[error("servers {0} and {1} have the same URL")]
    SamePath(String, String),
    /// Not a path that one can route by.
    #[error(
        "server {server}: path {path:?} must be segments of letters, digits and -._~ without a slash at the end"
    )]
    Path {
        /// The server's name.
        server: String,
        /// Its path.
        path: String,
    },
    /// The OAuth surface answers there.
    #[error("server {server}: path {path:?} belongs to the OAuth surface")]
    ReservedPath {
        /// The server's name.
        server: String,
        /// Its path.
        path: String,
    },
    /// Not where Envoy can forward to.
    #[error(
        "server {server}: upstream {upstream} must be http or https, without user information, query or fragment"
    )]
    Upstream {
        /// The server's name.
        server: String,
        /// Its upstream.
        upstream: Box<Url>,
    },
    /// Not a header field's name, or not in lower case.
    #[error("server {server}: credential header {header:?} must be lower-case letters, digits and hyphens")]
    CredentialHeader {
        /// The server's name.
        server: String,
        /// The header.
        header: String,
    },
    /// Zero is no limit, or no service.
    #[error("limit {0} must not be zero")]
    Limit(&'static str),
    /// Envoy reads its configuration as UTF-8.
    #[error("path {} is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// The template could not be written.
    #[error("cannot render: {0}")]
    Template(#[from] askama::Error),
}

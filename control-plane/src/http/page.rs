//! Pages: plain HTML, no script, nothing from elsewhere. Askama escapes whatever is put in.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// `default-src 'none'` and what little a form needs. `form-action` holds for the whole chain of redirects
/// behind a form in Chromium; that is why no form of ours is answered with a redirect, but with [`Continue`].
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

const STYLESHEET: &str = include_str!("../../assets/portcullis.css");

/// Asks for consent.
#[derive(Template)]
#[template(path = "consent.html")]
pub struct Consent<'a> {
    /// What the client calls itself.
    pub client_name: Option<&'a str>,
    /// Its home page.
    pub client_uri: Option<&'a str>,
    /// The host of the document in which it says all this, where it has one: who answers for it.
    pub described_by: Option<&'a str>,
    /// Whether its name is an operator's word, and not only its own.
    pub is_configured: bool,
    /// Where the answer goes: a host, or an app's scheme.
    pub redirect_host: &'a str,
    /// Whether that is a program on the user's own device.
    pub local: bool,
    /// The MCP server's name.
    pub server: &'a str,
    /// Its URL.
    pub server_url: &'a str,
    /// Where the user is going to log in.
    pub provider: &'a str,
    /// What is asked for.
    pub scopes: Vec<&'a str>,
    /// The authorization request's query: the form carries it.
    pub request: &'a str,
    /// What ties the form to this request and this browser.
    pub csrf: &'a str,
}

/// Sends the browser on: at once, or by a click.
#[derive(Template)]
#[template(path = "continue.html")]
pub struct Continue<'a> {
    /// What is being done.
    pub title: &'a str,
    /// Where to.
    pub url: &'a str,
    /// The same in words.
    pub destination: &'a str,
}

/// Says that something is wrong, and what to do.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct Problem<'a> {
    /// In a few words.
    pub title: &'a str,
    /// In a sentence or two.
    pub message: &'a str,
    /// Back to the client: a URL and the client's name.
    pub way_back: Option<(&'a str, &'a str)>,
}

/// Renders a page with all its headers.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    // No Cross-Origin-Opener-Policy: clients open these pages in pop-ups, and their own page at the end of
    // the login must still reach its opener.
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (status, headers, Html(html)).into_response()
}

/// A page that says what is wrong, without a way back.
pub fn problem(status: StatusCode, title: &str, message: &str) -> Response {
    page(status, &Problem { title, message, way_back: None })
}

/// A page that says what is wrong, with a link that takes the browser and the error at `url` back to the client.
pub fn problem_going_back(
    status: StatusCode,
    title: &str,
    message: &str,
    url: &str,
    client: Option<&str>,
) -> Response {
    let way_back = Some((url, client.unwrap_or("the application")));
    page(status, &Problem { title, message, way_back })
}

/// `GET /assets/portcullis.css`.
pub async fn stylesheet() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, STYLESHEET).into_response()
}

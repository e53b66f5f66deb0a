//! Pages: plain HTML, no script, nothing from elsewhere. Askama escapes whatever is put in.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::respond::reached;
use crate::limit::Limit;

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
    /// What ties it to what the page shows.
    pub shown: &'a str,
}

/// Asks which server is meant.
#[derive(Template)]
#[template(path = "server_choice.html")]
pub struct ServerChoice<'a> {
    /// What the client calls itself.
    pub client_name: Option<&'a str>,
    /// Those that may be meant.
    pub servers: Vec<ServerOffer<'a>>,
    /// Why it is asked again, in a sentence.
    pub problem: Option<&'a str>,
    /// The authorization request's query: the form carries it.
    pub request: &'a str,
    /// What ties the form to this request and this browser.
    pub csrf: &'a str,
}

/// A server that may be meant.
pub struct ServerOffer<'a> {
    /// The MCP server's name.
    pub name: &'a str,
    /// Its URL.
    pub url: &'a str,
    /// What is asked for there.
    pub scopes: Vec<&'a str>,
}

/// Asks for a token of the user's own.
#[derive(Template)]
#[template(path = "user_token.html")]
pub struct TokenForm<'a> {
    /// What the token is called.
    pub label: &'a str,
    /// Where users make one.
    pub help_url: Option<&'a str>,
    /// The MCP server's name.
    pub server: &'a str,
    /// Its URL.
    pub server_url: &'a str,
    /// The host that is asked whether a token is good.
    pub checked_at: &'a str,
    /// Who has logged in.
    pub user: &'a str,
    /// The client whose login waits for it, by its own name.
    pub client_name: Option<&'a str>,
    /// Where the form goes.
    pub action: &'a str,
    /// What the form is about: a field and its value.
    pub hidden: (&'a str, &'a str),
    /// What ties the form to this browser.
    pub csrf: &'a str,
    /// Why there is no token yet, in a sentence.
    pub problem: Option<&'a str>,
    /// Where Cancel leads; by default, to where the form goes.
    pub back: Option<&'a str>,
}

/// Offers the login to the account page.
#[derive(Template)]
#[template(path = "account_login.html")]
pub struct AccountLogin<'a> {
    /// Where one can log in.
    pub providers: Vec<&'a str>,
    /// What ties the form to this browser.
    pub csrf: &'a str,
}

/// The account page.
#[derive(Template)]
#[template(path = "account.html")]
pub struct Account<'a> {
    /// Who has logged in.
    pub user: &'a str,
    /// Where.
    pub provider: &'a str,
    /// What has been granted.
    pub clients: Vec<ConnectedClient>,
    /// Whether there is more than is shown.
    pub more: bool,
    /// The servers that want a token of the user's own.
    pub tokens: Vec<GivenToken>,
    /// What ties the forms to this session.
    pub csrf: &'a str,
}

/// A grant on the account page.
pub struct ConnectedClient {
    /// What the client calls itself.
    pub name: String,
    /// At which MCP server.
    pub server: String,
    /// The day.
    pub since: String,
    /// The grant's id.
    pub grant: String,
}

/// A token on the account page.
pub struct GivenToken {
    /// What it is called.
    pub label: String,
    /// The MCP server that wants it.
    pub server: String,
    /// The day on which it was given; `None` where there is none.
    pub since: Option<String>,
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

/// A page that says which limit was reached, with a way back as of [`problem_going_back`].
pub fn limited(limit: Limit, url: &str, client: Option<&str>) -> Response {
    let status = if limit.is_own() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut title = limit.reached().to_owned();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let message = format!("Nothing has been granted. {}", limit.advice());
    let mut response = reached(limit, problem_going_back(status, &title, &message, url, client));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
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

/// A callback or form whose login nobody waits for: in this browser, or any more.
pub fn unknown_login() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        "This login is not known here",
        "It was not begun in this browser, has been finished already, or took too long. Start again from \
         your application.",
    )
}

/// A form that is not the one which this browser was shown.
pub fn foreign_form() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        "This form is not from here",
        "It was not sent from the page that this service has shown in this browser, or cookies are \
         turned off. Start again from your application.",
    )
}

//! Which server is meant: the question to a user whose client, of MCP 2025-03-26, does not say, where an origin has
//! several. The answer goes into the authorization request, and the consent page is about that one server.

use axum::http::StatusCode;
use axum::response::Response;

use super::browser::Browser;
use super::page::{ServerChoice, ServerOffer, page as render};
use crate::app::App;
use crate::issuer::Issuer;
use crate::oauth::client::Client;
use crate::oauth::params;
use crate::oauth::pending::AuthorizationRequest;
use crate::oauth::request::Ambiguous;

/// A request that the user has completed.
pub struct Chosen<'a> {
    /// Its query, with `resource` in it.
    pub query: String,
    /// What it means.
    pub request: &'a AuthorizationRequest,
}

/// Asks. With a problem, asks again.
pub fn page(
    app: &App,
    browser: &Browser,
    query: &str,
    client: &Client,
    request: &Ambiguous,
    problem: Option<&str>,
) -> Response {
    let choice = ServerChoice {
        client_name: client.name.as_deref(),
        servers: request.meanings.iter().map(|meaning| offer(app, meaning)).collect(),
        problem,
        request: query,
        csrf: &app.form_key.sign(browser.as_str(), query),
    };
    render(if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, &choice)
}

fn offer<'a>(app: &'a App, meaning: &'a AuthorizationRequest) -> ServerOffer<'a> {
    let url = app.config.servers.get(&meaning.server).map_or("", |server| server.url.as_str());
    ServerOffer { name: meaning.server.as_str(), url, scopes: meaning.scopes.iter().collect() }
}

/// The request with the user's answer in it. The error is for the user.
pub fn of<'a>(
    issuer: &Issuer,
    query: &str,
    request: &'a Ambiguous,
    server: Option<&str>,
) -> Result<Chosen<'a>, &'static str> {
    let server = server.ok_or("Choose one of the servers first.")?;
    let meaning = request.meanings.iter().find(|meaning| meaning.server.as_str() == server);
    let resource = issuer.resources.iter().find(|resource| resource.server.as_str() == server);
    match (meaning, resource) {
        (Some(request), Some(resource)) => {
            let query = params::with(query, "resource", resource.url.as_str());
            Ok(Chosen { query, request })
        }
        _ => Err("That server is not there any more. Choose another one."),
    }
}

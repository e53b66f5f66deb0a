//! `GET /authorize` (RFC 6749 section 3.1): checks the request and asks for consent. It stores nothing and
//! consumes nothing, so it may be fetched as often as anybody likes.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_proto::ids::ClientId;

use super::browser::Browser;
use super::extract::AtIssuer;
use super::page::{Consent, page, problem, problem_going_back};
use super::respond::reached;
use super::server_choice;
use crate::app::App;
use crate::clients::{self, ClientError};
use crate::issuer::Issuer;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::oauth::client::{Client, ClientSource};
use crate::oauth::document_url::DocumentUrl;
use crate::oauth::error::OAuthError;
use crate::oauth::params::{Params, ParamsError};
use crate::oauth::pending::AuthorizationRequest;
use crate::oauth::redirect_uri::RedirectTarget;
use crate::oauth::request::{self, Checked};
use crate::store::StoreError;

/// The title of the page that says so.
pub const UNUSABLE: &str = "This request cannot be used";

/// Why a request gets no further.
pub enum Refusal {
    /// There is nobody to redirect to: a page of our own.
    Local(StatusCode, String),
    /// The same, because of a limit.
    Limit(Limit, String),
    /// The client is told.
    Redirect(WayBack),
}

/// The way back to the client with an error.
pub struct WayBack {
    target: RedirectTarget,
    state: Option<String>,
    error: OAuthError,
    /// Whether an operator vouches for the client. Nobody else's request may redirect by itself: where anybody can be a
    /// client, a request that is wrong on purpose would make this service lead to any page (RFC 9700 section 4.11.2).
    pub is_trusted: bool,
}

/// Shows the consent page, or says what is wrong.
pub async fn authorize(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    match examine(&app, &issuer, &query).await {
        Ok((client, checked)) => {
            Metrics::count(&app.metrics.authorizations, "asked");
            let known = Browser::of(&headers, &issuer);
            let is_new = known.is_none();
            let browser = known.unwrap_or_else(|| Browser::new(app.random.as_ref()));
            let mut response = match checked {
                Checked::Complete(request) => consent_page(&app, &browser, &query, &client, &request),
                Checked::Ambiguous(request) => {
                    server_choice::page(&app, &browser, &query, &client, &request, None)
                }
            };
            if is_new {
                response.headers_mut().insert(header::SET_COOKIE, browser.set_cookie(&issuer));
            }
            response
        }
        Err(Refusal::Local(status, message)) => {
            Metrics::count(&app.metrics.authorizations, "refused");
            problem(status, UNUSABLE, &message)
        }
        Err(Refusal::Limit(limit, message)) => {
            Metrics::count(&app.metrics.authorizations, "refused");
            reached(limit, problem(StatusCode::BAD_REQUEST, UNUSABLE, &message))
        }
        Err(Refusal::Redirect(back)) => {
            Metrics::count(&app.metrics.authorizations, "refused");
            let WayBack { error, .. } = &back;
            tracing::info!(error = error.code.as_str(), why = error.description, "authorization refused");
            let limit = back.limit();
            reached(limit, if back.is_trusted { see_other(&back.url(&issuer)) } else { back.page(&issuer) })
        }
    }
}

/// Checks an authorization request from its query alone: the same for the page and for its form.
pub async fn examine(app: &App, issuer: &Issuer, query: &str) -> Result<(Client, Checked), Refusal> {
    let message = |why: &dyn Display| {
        format!(
            "There is a mistake in what the application asked for: {why}. You have not been sent anywhere."
        )
    };
    let faulty = |why: &dyn Display| Refusal::Local(StatusCode::BAD_REQUEST, message(why));
    let params = Params::parse(query).map_err(|error| match error {
        ParamsError::TooMany => Refusal::Limit(Limit::Parameters, message(&error)),
        _ => faulty(&error),
    })?;
    let id = ClientId::new(params.require("client_id").map_err(|error| faulty(&error))?);
    let client = clients::find(app, &id).await?;
    let target = request::target(&params, &client, app.issuers.origins()).map_err(|error| faulty(&error))?;
    let state = params.get("state").map(ToOwned::to_owned);
    let checked = request::check(&params, &client, target.clone(), &issuer.resources).map_err(|error| {
        let is_trusted = client.source == ClientSource::Configured;
        Refusal::Redirect(WayBack { target, state, error, is_trusted })
    })?;
    Ok((client, checked))
}

/// Asks for consent to what a query asks for.
pub fn consent_page(
    app: &App,
    browser: &Browser,
    query: &str,
    client: &Client,
    request: &AuthorizationRequest,
) -> Response {
    let csrf = app.form_key.sign(browser.as_str(), query);
    let shown = app.form_key.sign(browser.as_str(), &shown(app, client, request));
    let server = app.config.servers.get(&request.server);
    let described_by = match client.source {
        ClientSource::Document => DocumentUrl::parse(client.id.as_str()).ok().map(|url| url.display_host()),
        ClientSource::Registered | ClientSource::Configured => None,
    };
    page(
        StatusCode::OK,
        &Consent {
            client_name: client.name.as_deref(),
            client_uri: client.uri.as_deref(),
            described_by: described_by.as_deref(),
            is_configured: client.source == ClientSource::Configured,
            redirect_host: &request.redirect.display_host(),
            local: request.redirect.is_local(),
            server: request.server.as_str(),
            server_url: server.map_or("", |server| server.url.as_str()),
            provider: server.map_or("", |server| server.provider.as_str()),
            scopes: request.scopes.iter().collect(),
            request: query,
            csrf: &csrf,
            shown: &shown,
        },
    )
}

/// What a user decides about who sees the page: all that the query does not say by itself, and that a document or the
/// configuration may say otherwise by the time that the form comes. No query looks like it.
pub fn shown(app: &App, client: &Client, request: &AuthorizationRequest) -> String {
    let server = app.config.servers.get(&request.server);
    serde_json::json!({
        "client": [client.id.as_str(), client.name.as_deref(), client.uri.as_deref()],
        "configured": client.source == ClientSource::Configured,
        "redirect": request.redirect.as_str(),
        "server": [request.server.as_str(), server.map_or("", |server| server.url.as_str())],
        "provider": server.map_or("", |server| server.provider.as_str()),
        "scopes": request.scopes.as_slice(),
    })
    .to_string()
}

/// An authorization response with an error (RFC 6749 section 4.1.2.1), with `iss` (RFC 9207).
pub fn error_url(
    issuer: &Issuer,
    target: &RedirectTarget,
    state: Option<&str>,
    error: &OAuthError,
) -> String {
    let params = [
        Some(("error", error.code.as_str())),
        Some(("error_description", error.description.as_str())),
        state.map(|state| ("state", state)),
        Some(("iss", issuer.identifier.as_str())),
    ];
    target.with_params(params.into_iter().flatten())
}

/// [`error_url`] for a request that has passed its checks.
pub fn refusal_url(issuer: &Issuer, request: &AuthorizationRequest, error: &OAuthError) -> String {
    error_url(issuer, &request.redirect, request.state.as_deref(), error)
}

/// A redirect that always becomes a GET.
pub fn see_other(url: &str) -> Response {
    let headers = [
        (header::LOCATION, url),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

// === impl WayBack ===

impl WayBack {
    /// Where it leads.
    pub fn url(&self, issuer: &Issuer) -> String {
        error_url(issuer, &self.target, self.state.as_deref(), &self.error)
    }

    /// Where it leads, as a user can recognise it.
    pub fn host(&self) -> String {
        self.target.display_host()
    }

    /// The limit that the request has run into, where that is what is wrong.
    pub fn limit(&self) -> Option<Limit> {
        self.error.limit
    }

    /// A page that says what is wrong and where the link leads: the user decides whether to follow it.
    pub fn page(&self, issuer: &Issuer) -> Response {
        let message = format!(
            "There is a mistake in what the application asked for: {}. Nothing has been granted, and you have not been \
             sent anywhere. Go back only if you know where that leads.",
            self.error.description
        );
        problem_going_back(StatusCode::BAD_REQUEST, UNUSABLE, &message, &self.url(issuer), Some(&self.host()))
    }
}

// === impl Refusal ===

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unknown => Self::Local(
                StatusCode::BAD_REQUEST,
                "The application is not registered here, or its registration has expired. \
                 Start again from the application; if that does not help, remove and add this server there."
                    .into(),
            ),
            ClientError::Document(error) if error.may_pass() => Self::Local(
                StatusCode::BAD_GATEWAY,
                format!(
                    "The application says what it is in a document on its own web site, and that cannot be \
                     read now: {error}. You have not been sent anywhere. Try again in a minute."
                ),
            ),
            ClientError::Document(error) => Self::Local(
                StatusCode::BAD_REQUEST,
                format!(
                    "The application says what it is in a document on its own web site, and cannot be used \
                     with it: {error}. You have not been sent anywhere."
                ),
            ),
            ClientError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::Local(
            StatusCode::SERVICE_UNAVAILABLE,
            "This service has a problem. Try again in a minute.".into(),
        )
    }
}

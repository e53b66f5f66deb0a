//! `POST /account/login`, and the session that such a login ends in.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use portcullis_proto::ids::{ProviderName, Sequence};

use super::cookie::SessionCookie;
use super::{PATH, forged};
use crate::acting;
use crate::app::App;
use crate::http::browser::{Browser, is_same_origin};
use crate::http::callback::NotKept;
use crate::http::extract::{AtIssuer, Form};
use crate::http::login::begin;
use crate::http::page::{AccountLogin, Continue, limited, page, problem_going_back};
use crate::issuer::Issuer;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::oauth::pending::Purpose;
use crate::oauth::session::{self, Session};
use crate::provider::Identity;
use crate::store::{Begun, StoreError};

/// What the form's token is for. No authorization request's query looks like it.
const FORM: &str = "account login";

/// The page that offers the login. It begins nothing.
pub(super) fn offer(app: &App, issuer: &Issuer, headers: &HeaderMap) -> Response {
    let known = Browser::of(headers, issuer);
    let is_new = known.is_none();
    let browser = known.unwrap_or_else(|| Browser::new(app.random.as_ref()));
    let providers = providers(app, issuer);
    let csrf = app.form_key.sign(browser.as_str(), FORM);
    let providers = providers.iter().map(|name| name.as_str()).collect();
    let mut response = page(StatusCode::OK, &AccountLogin { providers, csrf: &csrf });
    if is_new {
        response.headers_mut().insert(header::SET_COOKIE, browser.set_cookie(issuer));
    }
    response
}

/// Where users of this issuer's servers log in, but for providers where each MCP client has a client of its own: this
/// page has none.
fn providers<'a>(app: &'a App, issuer: &Issuer) -> BTreeSet<&'a ProviderName> {
    let servers = app.config.servers.iter().filter(|(name, _)| issuer.has(name));
    let named = servers.map(|(_, server)| &server.provider);
    named.filter(|provider| acting::app_itself(app, provider).is_some()).collect()
}

/// Sends the browser on to the provider that the user has chosen.
pub async fn log_in(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let csrf = form.get("csrf").unwrap_or_default();
    let browser = Browser::of(&headers, &issuer)
        .filter(|browser| is_same_origin(&headers) && app.form_key.verify(browser.as_str(), FORM, csrf));
    let chosen = ProviderName::new(form.get("provider").unwrap_or_default());
    let acting = acting::app_itself(&app, &chosen).filter(|_| providers(&app, &issuer).contains(&chosen));
    let (Some(browser), Some(acting)) = (browser, acting) else {
        return forged(&app);
    };
    let purpose = Purpose::Account { issuer: issuer.identifier.clone() };
    match begin(&app, &issuer, &browser, &chosen, acting, purpose).await {
        Ok(started) => {
            let (title, destination) = ("Going on to log in", started.provider.as_str());
            page(StatusCode::OK, &Continue { title, url: &started.url, destination })
        }
        Err(error) if let Some(limit) = error.limit() => {
            tracing::warn!(%error, "a login to the account page was refused");
            limited(limit, &issuer.url(PATH), Some("your account"))
        }
        Err(error) => {
            tracing::error!(%error, "a login to the account page could not begin");
            problem_going_back(
                StatusCode::BAD_GATEWAY,
                "The login service cannot be reached",
                "Try again in a minute.",
                &issuer.url(PATH),
                Some("your account"),
            )
        }
    }
}

/// Opens a session for whoever has logged in, at a provider that was asked after `since`, and leads to the page. What the
/// provider gave is of no use here.
pub(in crate::http) async fn open_session(
    app: &App,
    issuer: &Issuer,
    provider: &ProviderName,
    since: Sequence,
    identity: Identity,
) -> Result<Result<Response, NotKept>, StoreError> {
    let cookie = SessionCookie::new(app.random.as_ref());
    let session = Session {
        issuer: issuer.identifier.clone(),
        provider: provider.clone(),
        subject: identity.subject,
        email: identity.email,
        attempts: 0,
        born: since,
        expires_at: app.now().after(session::LIFETIME),
    };
    let subject = session.subject.clone();
    match app.store.open_session(cookie.id(), session, app.config.limits.pending).await? {
        Some(Begun::Done) => {}
        Some(Begun::Full) => return Ok(Err(NotKept::Limit(Limit::Sessions))),
        Some(Begun::TooMany) => return Ok(Err(NotKept::Limit(Limit::SessionsOfUser))),
        None => return Ok(Err(NotKept::Gone)),
    }
    Metrics::count(&app.metrics.account, "logged_in");
    tracing::info!(%provider, %subject, "logged in to the account page");
    let url = issuer.url(PATH);
    let going = Continue { title: "You are logged in", url: &url, destination: "your account" };
    let mut response = page(StatusCode::OK, &going);
    response.headers_mut().insert(header::SET_COOKIE, cookie.set(issuer));
    Ok(Ok(response))
}

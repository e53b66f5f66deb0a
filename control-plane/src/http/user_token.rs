//! `POST /user-token`, and the page that it is the form of: a login is not over before the user has given a token
//! that is good.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_proto::random;

use super::authorize::refusal_url;
use super::browser::{Browser, is_same_origin};
use super::callback::NotKept;
use super::destination;
use super::extract::{AtIssuer, Form};
use super::grant::{self, Ready};
use super::page::{Continue, TokenForm, foreign_form, page, problem, problem_going_back, unknown_login};
use crate::app::App;
use crate::clients;
use crate::config;
use crate::credential::user_token::{CheckError, check, seal, wanted_by};
use crate::issuer::Issuer;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::oauth::enrolment::{self, Enrolment, EnrolmentId};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::grant::Grant;
use crate::oauth::pending::{AuthorizationRequest, BrowserId};
use crate::oauth::user_token::{PasteError, Pasted};
use crate::store::{Begun, Enrolled, Finish, StoreError};

/// Why a token is not taken. What is said of it goes onto the page.
#[derive(Debug, thiserror::Error)]
pub enum Untaken {
    /// It cannot be one.
    #[error(transparent)]
    Paste(#[from] PasteError),
    /// It is not good, or nobody can say now.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// Keeps the login until there is a token, and asks for one.
pub(super) async fn begin(
    app: &App,
    browser: &Browser,
    request: &AuthorizationRequest,
    grant: Grant,
) -> Result<Result<Response, NotKept>, StoreError> {
    let id = random::base62(app.random.as_ref(), 43);
    let enrolment = Enrolment {
        request: request.clone(),
        grant,
        browser: BrowserId::of(browser.as_str()),
        attempts: 0,
        expires_at: app.now().after(enrolment::LIFETIME),
    };
    match app.store.enrol(EnrolmentId::of(&id), enrolment.clone(), app.config.limits.pending).await? {
        Some(Begun::Done) => Ok(Ok(ask(app, browser, &id, &enrolment, None).await)),
        Some(Begun::Full) => Ok(Err(NotKept::Limit(Limit::Enrolments))),
        Some(Begun::TooMany) => Ok(Err(NotKept::Limit(Limit::EnrolmentsOfUser))),
        None => Ok(Err(NotKept::Gone)),
    }
}

/// Takes the form.
pub async fn user_token(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let (id, csrf) = (form.get("id").unwrap_or_default(), form.get("csrf").unwrap_or_default());
    let browser = Browser::of(&headers, &issuer).filter(|browser| {
        is_same_origin(&headers) && app.form_key.verify(browser.as_str(), &signed(id), csrf)
    });
    let Some(browser) = browser else {
        Metrics::count(&app.metrics.user_tokens, "forged");
        return foreign_form();
    };
    let done = if form.get("decision") == Some("approve") {
        take(&app, &issuer, &browser, id, form.get("token").unwrap_or_default()).await
    } else {
        cancel(&app, &issuer, &browser, id).await
    };
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "the store failed");
        problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "This service has a problem",
            "Start again from your application in a minute.",
        )
    })
}

async fn take(
    app: &App,
    issuer: &Issuer,
    browser: &Browser,
    id: &str,
    text: &str,
) -> Result<Response, StoreError> {
    let (key, browser_id) = (EnrolmentId::of(id), BrowserId::of(browser.as_str()));
    let open = app.store.attempt(&key, &browser_id, app.now()).await?;
    let Some(enrolment) = open.filter(|enrolment| issuer.has(&enrolment.request.server)) else {
        return Ok(unknown_login());
    };
    let request = &enrolment.request;
    if let Some(page) = destination::refused(app, request) {
        app.store.take_enrolment(&key, &browser_id, app.now()).await?;
        return Ok(page);
    }
    let wanted = wanted_by(app, &request.server);
    let Some((_, settings)) = wanted.filter(|(server, _)| server.provider == enrolment.grant.provider) else {
        return Ok(unknown_login()); // not asked for any more, or of other users
    };
    let token = match try_token(app, settings, text).await {
        Ok(token) => token,
        Err(why) if enrolment.is_last_attempt() => {
            app.store.take_enrolment(&key, &browser_id, app.now()).await?;
            tracing::warn!(client = %request.client, server = %request.server, %why, "no token was accepted: the login is over");
            return Ok(enough(app, issuer, request).await);
        }
        Err(why) => return Ok(ask(app, browser, id, &enrolment, Some(&why)).await),
    };

    let (holder, now) = (enrolment.holder(), app.now());
    let ready = Ready::new(app, enrolment.grant.clone(), request, now);
    let finish = Finish {
        token: seal(&app.keys, app.random.as_ref(), &holder, &token, now),
        code: (ready.text.id(), ready.code),
        grant: ready.grant.clone(),
    };
    match app.store.finish_enrolment(&key, &browser_id, finish, now).await? {
        Enrolled::Done(entries) => {
            app.note_revocations(&entries, "another token of the user's own");
            Metrics::count(&app.metrics.user_tokens, "kept");
            Metrics::count(&app.metrics.logins, "done");
            tracing::info!(grant = %ready.grant.id, server = %request.server, "a token of the user's own is kept");
            grant::log(&ready.grant);
            Ok(go_back("Going back", &grant::success_url(issuer, request, &ready.text), request))
        }
        Enrolled::Gone => Ok(unknown_login()),
    }
}

/// Whether it is a good token; counts what becomes of it.
pub(super) async fn try_token(
    app: &App,
    settings: &config::UserToken,
    text: &str,
) -> Result<Pasted, Untaken> {
    let tried = async {
        let token = Pasted::parse(text)?;
        check(app, settings, &token).await?;
        Ok(token)
    };
    let tried: Result<Pasted, Untaken> = tried.await;
    if let Err(why) = &tried {
        let outcome = match why {
            Untaken::Paste(_) | Untaken::Check(CheckError::NotAccepted) => "refused",
            Untaken::Check(error) => {
                tracing::warn!(%error, "a token of a user's own could not be checked");
                "unchecked"
            }
        };
        Metrics::count(&app.metrics.user_tokens, outcome);
    }
    tried
}

async fn cancel(app: &App, issuer: &Issuer, browser: &Browser, id: &str) -> Result<Response, StoreError> {
    let (key, browser) = (EnrolmentId::of(id), BrowserId::of(browser.as_str()));
    let taken = app.store.take_enrolment(&key, &browser, app.now()).await?;
    let Some(enrolment) = taken.filter(|enrolment| issuer.has(&enrolment.request.server)) else {
        return Ok(unknown_login());
    };
    let request = &enrolment.request;
    if let Some(page) = destination::refused(app, request) {
        return Ok(page);
    }
    Metrics::count(&app.metrics.user_tokens, "cancelled");
    tracing::info!(client = %request.client, server = %request.server, "the user has given no token");
    let denied = OAuthError::new(ErrorCode::AccessDenied, "the user has given no token");
    Ok(go_back("Access denied", &refusal_url(issuer, request, &denied), request))
}

async fn ask(
    app: &App,
    browser: &Browser,
    id: &str,
    enrolment: &Enrolment,
    why: Option<&Untaken>,
) -> Response {
    let request = &enrolment.request;
    let Some((server, settings)) = wanted_by(app, &request.server) else { return unknown_login() };
    if why.is_none() {
        Metrics::count(&app.metrics.user_tokens, "asked");
        tracing::info!(client = %request.client, server = %request.server, "a token of the user's own is asked for");
    }
    let grant = &enrolment.grant;
    let client = clients::name(app, &request.client).await;
    let problem = why.map(sentence);
    let form = TokenForm {
        label: &settings.label,
        help_url: settings.help_url.as_ref().map(url::Url::as_str),
        server: request.server.as_str(),
        server_url: server.url.as_str(),
        checked_at: settings.check_url.host_str().unwrap_or_default(),
        user: grant.email.as_deref().unwrap_or(grant.subject.as_str()),
        client_name: client.as_deref(),
        action: "/user-token",
        hidden: ("id", id),
        csrf: &app.form_key.sign(browser.as_str(), &signed(id)),
        problem: problem.as_deref(),
        back: None,
    };
    page(status(why), &form)
}

/// What the page says about a token that is not taken.
pub(super) fn sentence(why: &Untaken) -> String {
    match why {
        Untaken::Paste(error) => format!("This cannot be a token: {error}."),
        Untaken::Check(CheckError::NotAccepted) => {
            "This token was not accepted. Check that it is complete, has not expired and may do what is needed."
                .into()
        }
        Untaken::Check(_) => "Whether this token is good cannot be found out at the moment. Try again.".into(),
    }
}

/// The status of the page that asks for a token.
pub(super) fn status(why: Option<&Untaken>) -> StatusCode {
    match why {
        None => StatusCode::OK,
        Some(Untaken::Paste(_) | Untaken::Check(CheckError::NotAccepted)) => StatusCode::BAD_REQUEST,
        Some(Untaken::Check(_)) => StatusCode::BAD_GATEWAY,
    }
}

/// What the form's token is for. No authorization request's query looks like it.
fn signed(id: &str) -> String {
    format!("user-token {id}")
}

fn go_back(title: &str, url: &str, request: &AuthorizationRequest) -> Response {
    page(StatusCode::OK, &Continue { title, url, destination: &request.redirect.display_host() })
}

async fn enough(app: &App, issuer: &Issuer, request: &AuthorizationRequest) -> Response {
    Metrics::count(&app.metrics.user_tokens, "given_up");
    let error = OAuthError::new(ErrorCode::AccessDenied, "no token was accepted");
    problem_going_back(
        StatusCode::FORBIDDEN,
        "No token was accepted",
        "Nothing has been granted, and this login is over. Make a new token, and start again from your application.",
        &refusal_url(issuer, request, &error),
        clients::name(app, &request.client).await.as_deref(),
    )
}

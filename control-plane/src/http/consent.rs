//! `POST /consent`: the user's decision. Only from here on is anything stored.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::time::{Instant, timeout_at};

use super::authorize::{Refusal, UNUSABLE, consent_page, error_url, examine, refusal_url, shown};
use super::browser::{Browser, is_same_origin};
use super::extract::{AtIssuer, Form};
use super::login::{self, BeginError, Started};
use super::page::{Continue, foreign_form, limited, page, problem, problem_going_back};
use super::respond::reached;
use super::server_choice::{self, Chosen};
use crate::acting;
use crate::app::App;
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::oauth::client::Client;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::pending::{AuthorizationRequest, Purpose};
use crate::oauth::request::Checked;
use crate::provider::ProviderError;

/// How long all of it may take: the client's document, the provider's registration of the client, the provider's metadata.
/// Our own bound for any request is 25 s, and the edge waits 30: before that there is a page.
const DEADLINE: Duration = Duration::from_secs(20);

/// Sends the browser on to the provider, or back to the client.
pub async fn consent(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let until = Instant::now() + DEADLINE;
    let (query, csrf) = (form.get("request").unwrap_or_default(), form.get("csrf").unwrap_or_default());
    let browser = Browser::of(&headers, &issuer)
        .filter(|browser| is_same_origin(&headers) && app.form_key.verify(browser.as_str(), query, csrf));
    let Some(browser) = browser else {
        Metrics::count(&app.metrics.authorizations, "forged");
        return foreign_form();
    };
    // The query is examined again: the form says what was shown, not that it is still right.
    let (client, checked) = match examine(&app, &issuer, query).await {
        Ok(examined) => examined,
        Err(Refusal::Local(status, message)) => {
            return problem(status, UNUSABLE, &message);
        }
        Err(Refusal::Limit(limit, message)) => {
            return reached(limit, problem(StatusCode::BAD_REQUEST, UNUSABLE, &message));
        }
        Err(Refusal::Redirect(back)) if back.is_trusted => {
            return reached(back.limit(), send_on("Going back", &back.url(&issuer), &back.host()));
        }
        Err(Refusal::Redirect(back)) => return reached(back.limit(), back.page(&issuer)),
    };
    let decision = form.get("decision");
    // What the query leaves open may have changed meanwhile: no decision is about what nobody has been shown.
    if let Checked::Complete(request) = &checked
        && decision != Some("choose")
        && !is_what_was_shown(&app, &browser, &client, request, form.get("shown"))
    {
        return changed(&app, &client, request);
    }
    let (redirect, state, server) = match checked {
        Checked::Complete(request) if decision == Some("approve") => {
            let begun = begin(&app, &issuer, &browser, &client, request.clone());
            let late = |_| Err(ProviderError::Unreachable("no answer in time".into()).into());
            let begun = timeout_at(until, begun).await.unwrap_or_else(late);
            return approved(&app, &issuer, &client, &request, begun);
        }
        // There were several servers when the page was shown, and there is only one now.
        Checked::Complete(request) if decision == Some("choose") => {
            return consent_page(&app, &browser, query, &client, &request);
        }
        Checked::Ambiguous(request) if decision == Some("choose") => {
            return match server_choice::of(&issuer, query, &request, form.get("server")) {
                Ok(Chosen { query, request }) => {
                    tracing::info!(client = %client.id, server = %request.server, "chosen by the user");
                    consent_page(&app, &browser, &query, &client, request)
                }
                Err(why) => server_choice::page(&app, &browser, query, &client, &request, Some(why)),
            };
        }
        Checked::Complete(request) => (request.redirect, request.state, Some(request.server)),
        Checked::Ambiguous(request) => (request.redirect, request.state, None),
    };
    Metrics::count(&app.metrics.authorizations, "denied");
    let server = server.as_ref().map(tracing::field::display);
    tracing::info!(client = %client.id, server, "denied by the user");
    let denied = OAuthError::new(ErrorCode::AccessDenied, "the user said no");
    let url = error_url(&issuer, &redirect, state.as_deref(), &denied);
    send_on("Access denied", &url, &redirect.display_host())
}

fn is_what_was_shown(
    app: &App,
    browser: &Browser,
    client: &Client,
    request: &AuthorizationRequest,
    mark: Option<&str>,
) -> bool {
    mark.is_some_and(|mark| app.form_key.verify(browser.as_str(), &shown(app, client, request), mark))
}

fn changed(app: &App, client: &Client, request: &AuthorizationRequest) -> Response {
    Metrics::count(&app.metrics.authorizations, "changed");
    tracing::warn!(client = %client.id, server = %request.server, "not what was shown any more");
    problem(
        StatusCode::BAD_REQUEST,
        "This is not what you were shown any more",
        "What the application says of itself, or what it asks for, has changed since this page was shown. \
         Nothing has been granted. Start again from your application.",
    )
}

/// What the browser gets once the login has begun, or not.
fn approved(
    app: &App,
    issuer: &Issuer,
    client: &Client,
    request: &AuthorizationRequest,
    begun: Result<Started, BeginError>,
) -> Response {
    let unavailable = || {
        let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "the login service cannot be reached");
        problem_going_back(
            StatusCode::BAD_GATEWAY,
            "The login service cannot be reached",
            "Nothing has been granted. Try again in a minute.",
            &refusal_url(issuer, request, &error),
            client.name.as_deref(),
        )
    };
    match begun {
        Ok(Started { url, provider }) => {
            Metrics::count(&app.metrics.authorizations, "approved");
            tracing::info!(client = %client.id, server = %request.server, provider, "approved; on to the provider");
            send_on("Going on to log in", &url, &provider)
        }
        Err(error) if let Some(limit) = error.limit() => {
            tracing::warn!(client = %client.id, server = %request.server, %error, "approval refused");
            let url = refusal_url(issuer, request, &OAuthError::limited(limit));
            limited(limit, &url, client.name.as_deref())
        }
        Err(error) => {
            tracing::error!(client = %client.id, server = %request.server, %error, "a login could not begin");
            if error.is_refusal() {
                return unusable(issuer, client, request);
            }
            unavailable()
        }
    }
}

/// The provider does not take the application: trying again would not help.
fn unusable(issuer: &Issuer, client: &Client, request: &AuthorizationRequest) -> Response {
    let error = OAuthError::new(ErrorCode::ServerError, "the login service does not take this application");
    problem_going_back(
        StatusCode::BAD_GATEWAY,
        "The login service cannot be used",
        "It does not take this application. Nothing has been granted. Tell whoever runs this service; the log \
         has the details.",
        &refusal_url(issuer, request, &error),
        client.name.as_deref(),
    )
}

/// Begins the client's login, as whoever acts for it at the provider.
async fn begin(
    app: &Arc<App>,
    issuer: &Arc<Issuer>,
    browser: &Browser,
    client: &Client,
    request: AuthorizationRequest,
) -> Result<Started, BeginError> {
    let (server, _) = app.server(&request.server).ok_or(BeginError::NotConfigured)?;
    let acting = acting::begin(app, issuer, client, &server.provider).await?;
    login::begin(app, issuer, browser, &server.provider, acting, Purpose::Authorization(request)).await
}

fn send_on(title: &str, url: &str, destination: &str) -> Response {
    page(StatusCode::OK, &Continue { title, url, destination })
}

//! `POST /consent`: the user's decision. Only from here on is anything stored.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_proto::random;

use super::authorize::{Refusal, error_url, examine, refusal_url};
use super::browser::{Browser, is_same_origin};
use super::extract::{AtIssuer, Form};
use super::page::{Continue, page, problem, problem_going_back};
use crate::app::App;
use crate::config::Server;
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::oauth::client::Client;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::pending::{AuthorizationRequest, BrowserId, Pending, StateId};
use crate::provider::{Login, ProviderError};
use crate::store::{Begun, StoreError};

/// Sends the browser on to the provider, or back to the client.
pub async fn consent(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let (request, csrf) = (form.get("request").unwrap_or_default(), form.get("csrf").unwrap_or_default());
    let browser = Browser::of(&headers, &issuer)
        .filter(|browser| is_same_origin(&headers) && app.form_key.verify(browser.as_str(), request, csrf));
    let Some(browser) = browser else {
        Metrics::count(&app.metrics.authorizations, "forged");
        return problem(
            StatusCode::FORBIDDEN,
            "This form is not from here",
            "It was not sent from the page that this service has shown in this browser, or cookies are \
             turned off. Start again from your application.",
        );
    };
    // The query is examined again: the form says what was shown, not that it is still right.
    let (client, request) = match examine(&app, &issuer, request).await {
        Ok(examined) => examined,
        Err(Refusal::Local(status, message)) => {
            return problem(status, "This request cannot be used", &message);
        }
        Err(Refusal::Redirect(target, state, error)) => {
            let url = error_url(&issuer, &target, state.as_deref(), &error);
            return send_on("Going back", &url, &target.display_host());
        }
    };
    if form.get("decision") == Some("approve") {
        return approve(&app, &issuer, &browser, &client, request).await;
    }
    Metrics::count(&app.metrics.authorizations, "denied");
    tracing::info!(client = %client.id, server = %request.server, "denied by the user");
    let denied = OAuthError::new(ErrorCode::AccessDenied, "the user said no");
    send_on("Access denied", &refusal_url(&issuer, &request, &denied), &request.redirect.display_host())
}

async fn approve(
    app: &App,
    issuer: &Issuer,
    browser: &Browser,
    client: &Client,
    request: AuthorizationRequest,
) -> Response {
    let unavailable = || {
        let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "the login service cannot be reached");
        problem_going_back(
            StatusCode::BAD_GATEWAY,
            "The login service cannot be reached",
            "Nothing has been granted. Try again in a minute.",
            &refusal_url(issuer, &request, &error),
            client.name.as_deref(),
        )
    };
    match begin(app, issuer, browser, request.clone()).await {
        Ok(Started { url, provider }) => {
            Metrics::count(&app.metrics.authorizations, "approved");
            tracing::info!(client = %client.id, server = %request.server, provider, "approved; on to the provider");
            send_on("Going on to log in", &url, &provider)
        }
        Err(BeginError::Full) => {
            tracing::warn!("approval refused: too many logins are under way");
            unavailable()
        }
        Err(error) => {
            tracing::error!(client = %client.id, server = %request.server, %error, "a login could not begin");
            unavailable()
        }
    }
}

struct Started {
    url: String,
    provider: String,
}

#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("the server is not configured")]
    NotConfigured,
    #[error("too many logins are under way")]
    Full,
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn begin(
    app: &App,
    issuer: &Issuer,
    browser: &Browser,
    request: AuthorizationRequest,
) -> Result<Started, BeginError> {
    let (server, provider) = app.server(&request.server).ok_or(BeginError::NotConfigured)?;
    let random = app.random.as_ref();
    let state = random::base62(random, 43);
    let pending = Pending {
        provider: server.provider.clone(),
        browser: BrowserId::of(browser.as_str()),
        verifier: random::base62(random, 43),
        nonce: random::base62(random, 43),
        expires_at: app.now().after(app.config.lifetimes.pending),
        request,
    };
    let url = provider.authorization_url(&login(issuer, server, &pending, &state)).await?;
    let provider = pending.provider.to_string();
    match app.store.begin(StateId::of(&state), pending, app.config.limits.pending).await? {
        Begun::Done => Ok(Started { url: url.into(), provider }),
        Begun::Full => Err(BeginError::Full),
    }
}

/// The login as the provider sees it: the same when it begins and when its code is exchanged.
pub(super) fn login<'a>(
    issuer: &'a Issuer,
    server: &'a Server,
    pending: &'a Pending,
    state: &'a str,
) -> Login<'a> {
    Login {
        redirect_uri: &issuer.callback,
        state,
        nonce: &pending.nonce,
        verifier: &pending.verifier,
        scopes: pending.request.scopes.as_slice(),
        questions: server.questions(),
    }
}

fn send_on(title: &str, url: &str, destination: &str) -> Response {
    page(StatusCode::OK, &Continue { title, url, destination })
}

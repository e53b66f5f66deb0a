//! `GET /callback`: the provider's answer (RFC 6749 section 4.1.2).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_proto::ids::Sequence;
use secrecy::SecretString;
use thiserror::Error;
use tokio::time::timeout;

use super::account;
use super::authorize::{refusal_url, see_other};
use super::browser::Browser;
use super::destination;
use super::extract::AtIssuer;
use super::grant::{self, Ready};
use super::login::login;
use super::page::{limited, problem, problem_going_back, unknown_login};
use crate::acting::{self, ActingError};
use crate::app::App;
use crate::clients::{self, ClientError};
use crate::credential::user_token;
use crate::issuer::Issuer;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::oauth::admission;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::grant::Grant;
use crate::oauth::params::Params;
use crate::oauth::pending::{AuthorizationRequest, BrowserId, Pending, Purpose, StateId};
use crate::provider::{Identity, Provider, ProviderError, ProviderTokens};
use crate::store::{Granted, StoreError};

/// How long the provider may take for all that it is asked. The edge waits 30 s: before that there is a page.
const PROVIDER_DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Error)]
enum LoginError {
    #[error("the provider answered {0}")]
    Refused(String),
    #[error("the provider's answer has neither code nor error")]
    Empty,
    #[error("the server or its provider is not configured any more")]
    NotConfigured,
    #[error("the client was forgotten, or it or the user was revoked meanwhile")]
    Gone,
    #[error("the client is not what it was any more: {0}")]
    Client(#[from] ClientError),
    #[error("{}", .0.reached())]
    Limit(Limit),
    #[error(transparent)]
    Acting(#[from] ActingError),
    #[error(transparent)]
    NotAdmitted(#[from] admission::Refused),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why what a login has come to is not kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum NotKept {
    /// There are too many of its kind.
    Limit(Limit),
    /// It was revoked meanwhile.
    Gone,
}

/// Finishes the login, and sends the browser to what it was for.
pub async fn callback(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Ok(params) = Params::parse(&query.unwrap_or_default()) else {
        return unknown_login();
    };
    let (Some(state), Some(cookie)) = (params.get("state"), Browser::of(&headers, &issuer)) else {
        return unknown_login();
    };
    let (state, browser) = (StateId::of(state), BrowserId::of(cookie.as_str()));
    // Whoever is revoked from now on, while the provider is asked, is meant.
    let since = app.store.head().borrow().sequence;
    let pending = match app.store.take_pending(&state, &browser, app.now()).await {
        Ok(Some(pending)) if is_for(&pending, &issuer) => pending,
        Ok(_) => {
            Metrics::count(&app.metrics.logins, "unknown");
            return unknown_login();
        }
        Err(error) => {
            tracing::error!(%error, "the store failed");
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "This service has a problem",
                "Start again from your application in a minute.",
            );
        }
    };
    if let Purpose::Authorization(request) = &pending.purpose
        && let Some(page) = destination::refused(&app, request)
    {
        return page;
    }
    match log_in(&app, &issuer, &cookie, &params, &pending, since).await {
        Ok(response) => response,
        Err(error) => refuse(&app, &issuer, &pending, &error).await,
    }
}

/// From the provider's answer to ours. Nothing is stored before everything has been checked.
async fn log_in(
    app: &App,
    issuer: &Issuer,
    browser: &Browser,
    params: &Params,
    pending: &Pending,
    since: Sequence,
) -> Result<Response, LoginError> {
    let late = |_| ProviderError::Unreachable("no answer in time".into());
    match &pending.purpose {
        Purpose::Authorization(request) => {
            let identified = async {
                let identified = identify(app, issuer, params, pending).await?;
                Ok::<_, LoginError>((identified, clients::find_or_recall(app, &request.client).await?))
            };
            let ((identity, tokens), client) =
                timeout(PROVIDER_DEADLINE, identified).await.map_err(late)??;
            let (server, _) = app.server(&request.server).ok_or(LoginError::NotConfigured)?;
            if server.provider != pending.provider {
                return Err(LoginError::NotConfigured);
            }
            let user = admission::admit(server.allow.as_ref(), identity)?;
            clients::remember(app, client).await?;
            let grant = grant::make(app, request, pending, since, user, &tokens);
            authorize(app, issuer, browser, request, grant).await
        }
        Purpose::Account { .. } => {
            let identified = timeout(PROVIDER_DEADLINE, identify(app, issuer, params, pending));
            let (identity, _) = identified.await.map_err(late)??;
            let opened = account::open_session(app, issuer, &pending.provider, since, identity).await??;
            Metrics::count(&app.metrics.logins, "account");
            Ok(opened)
        }
    }
}

/// Whether the login began at this issuer.
fn is_for(pending: &Pending, issuer: &Issuer) -> bool {
    match &pending.purpose {
        Purpose::Authorization(request) => issuer.has(&request.server),
        Purpose::Account { issuer: begun_at } => *begun_at == issuer.identifier,
    }
}

async fn identify(
    app: &App,
    issuer: &Issuer,
    params: &Params,
    pending: &Pending,
) -> Result<(Identity, ProviderTokens), LoginError> {
    let provider = app.providers.get(&pending.provider).ok_or(LoginError::NotConfigured)?;
    // Before anything else: an answer from another provider must not even be believed an error (RFC 9207).
    let iss = params.get("iss");
    if iss.is_some_and(|iss| is_of_another(app, provider.as_ref(), iss)) {
        return Err(ProviderError::Issuer.into());
    }
    provider.check_issuer(iss).await?;
    if let Some(error) = params.get("error") {
        return Err(LoginError::Refused(error.chars().filter(char::is_ascii_graphic).take(64).collect()));
    }
    let code = SecretString::from(params.get("code").ok_or(LoginError::Empty)?);
    let (provider_name, client) = (&pending.provider, pending.purpose.client());
    let acting = acting::recall(app, provider_name, client, &pending.acting).await?;
    let login = login(app, issuer, &acting, pending, params.get("state").unwrap_or_default());
    let exchanged = provider.exchange(&code, &login, app.now()).await;
    if exchanged.as_ref().is_err_and(ProviderError::refuses_the_client) {
        acting::refused(app, provider_name, client, &pending.acting).await;
    }
    Ok(exchanged?)
}

/// Whether an answer is another provider's than the one that the login is at, whose own `iss` may not be known.
fn is_of_another(app: &App, provider: &dyn Provider, iss: &str) -> bool {
    !provider.is_issuer(iss) && app.providers.values().any(|other| other.is_issuer(iss))
}

/// What a client's login ends in: a code, or the question for a token of the user's own where there is none yet.
async fn authorize(
    app: &App,
    issuer: &Issuer,
    browser: &Browser,
    request: &AuthorizationRequest,
    grant: Grant,
) -> Result<Response, LoginError> {
    if user_token::is_missing(app, &grant).await? {
        let asked = super::user_token::begin(app, browser, request, grant).await??;
        Metrics::count(&app.metrics.logins, "token_asked");
        return Ok(asked);
    }
    let Ready { grant, text, code } = Ready::new(app, grant, request, app.now());
    match app.store.grant(grant.clone(), text.id(), code).await? {
        Granted::Done => {
            Metrics::count(&app.metrics.logins, "done");
            grant::log(&grant);
            Ok(see_other(&grant::success_url(issuer, request, &text)))
        }
        Granted::Gone => Err(LoginError::Gone),
    }
}

/// A "no" goes straight back to the client. Everything else is shown, with a way back.
async fn refuse(app: &App, issuer: &Issuer, pending: &Pending, error: &LoginError) -> Response {
    tracing::warn!(purpose = %pending.purpose, provider = %pending.provider, %error, "login failed");
    let url = |code, description: &str| match &pending.purpose {
        Purpose::Authorization(request) => refusal_url(issuer, request, &OAuthError::new(code, description)),
        Purpose::Account { .. } => issuer.url("/account"),
    };
    let name = match &pending.purpose {
        Purpose::Authorization(request) => clients::name(app, &request.client).await,
        Purpose::Account { .. } => Some("your account".into()),
    };
    let (outcome, response) = match error {
        LoginError::Refused(code) if code == "access_denied" => {
            ("denied", see_other(&url(ErrorCode::AccessDenied, "the login was refused")))
        }
        LoginError::Provider(ProviderError::Unreachable(_) | ProviderError::Busy { .. }) => {
            let page = problem_going_back(
                StatusCode::BAD_GATEWAY,
                "The login service does not answer",
                "Nothing has been granted. Go back and try again in a minute.",
                &url(ErrorCode::TemporarilyUnavailable, "the login service does not answer"),
                name.as_deref(),
            );
            ("unreachable", page)
        }
        LoginError::Limit(limit) => {
            let url = url(ErrorCode::TemporarilyUnavailable, limit.reached());
            ("full", limited(*limit, &url, name.as_deref()))
        }
        LoginError::NotAdmitted(_) | LoginError::Provider(ProviderError::NotAllowed(_)) => {
            let page = problem_going_back(
                StatusCode::FORBIDDEN,
                "This account has no access",
                "You have logged in, but with an account that may not be used here. Nothing has been granted. \
                 Go back and log in with another one, or ask whoever runs this service.",
                &url(ErrorCode::AccessDenied, "this account has no access"),
                name.as_deref(),
            );
            ("not_allowed", page)
        }
        _ => {
            let page = problem_going_back(
                StatusCode::BAD_GATEWAY,
                "The login did not work",
                "The login service's answer could not be used. Nothing has been granted. If it happens \
                 again, tell whoever runs this service; the log has the details.",
                &url(ErrorCode::ServerError, "the login did not work"),
                name.as_deref(),
            );
            ("failed", page)
        }
    };
    Metrics::count(&app.metrics.logins, outcome);
    response
}

// === impl LoginError ===

impl From<NotKept> for LoginError {
    fn from(why: NotKept) -> Self {
        match why {
            NotKept::Limit(limit) => Self::Limit(limit),
            NotKept::Gone => Self::Gone,
        }
    }
}

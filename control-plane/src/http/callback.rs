//! `GET /callback`: the provider's answer (RFC 6749 section 4.1.2).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::seal::SealingKey;
use portcullis_proto::token::{self, Token};
use secrecy::SecretString;
use thiserror::Error;
use tokio::time::timeout;

use super::authorize::{refusal_url, see_other};
use super::browser::Browser;
use super::consent::login;
use super::extract::AtIssuer;
use super::page::{problem, problem_going_back};
use crate::app::App;
use crate::clients::{self, ClientError};
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::oauth::client::{Client, ClientSource};
use crate::oauth::code::Code;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::grant::Grant;
use crate::oauth::params::Params;
use crate::oauth::pending::{BrowserId, Pending, StateId};
use crate::provider::{Identity, ProviderError, ProviderTokens};
use crate::store::{Granted, StoreError};
use crate::upstream;

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
    #[error("the client was forgotten or revoked meanwhile")]
    ClientGone,
    #[error("the client is not what it was any more: {0}")]
    Client(#[from] ClientError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finishes the login, and sends the browser back to the client.
pub async fn callback(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Ok(params) = Params::parse(&query.unwrap_or_default()) else {
        return unknown_login();
    };
    let (Some(state), Some(browser)) = (params.get("state"), Browser::of(&headers, &issuer)) else {
        return unknown_login();
    };
    let (state, browser) = (StateId::of(state), BrowserId::of(browser.as_str()));
    let pending = match app.store.take_pending(&state, &browser, app.now()).await {
        Ok(Some(pending)) if issuer.has(&pending.request.server) => pending,
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
    match log_in(&app, &issuer, &params, &pending).await {
        Ok(code) => {
            Metrics::count(&app.metrics.logins, "done");
            let request = &pending.request;
            let answer = [
                Some(("code", code.expose())),
                request.state.as_deref().map(|state| ("state", state)),
                Some(("iss", issuer.identifier.as_str())),
            ];
            see_other(&request.redirect.with_params(answer.into_iter().flatten()))
        }
        Err(error) => refuse(&app, &issuer, &pending, &error).await,
    }
}

/// From the provider's answer to a code of our own. Nothing is stored before everything has been checked.
async fn log_in(
    app: &App,
    issuer: &Issuer,
    params: &Params,
    pending: &Pending,
) -> Result<Token<token::Code>, LoginError> {
    let late = |_| ProviderError::Unreachable("no answer in time".into());
    let identified = async {
        let (identity, tokens) = identify(app, issuer, params, pending).await?;
        Ok::<_, LoginError>((identity, tokens, clients::find_or_recall(app, &pending.request.client).await?))
    };
    let (identity, tokens, client) = timeout(PROVIDER_DEADLINE, identified).await.map_err(late)??;
    grant(app, pending, client, identity, &tokens).await
}

async fn identify(
    app: &App,
    issuer: &Issuer,
    params: &Params,
    pending: &Pending,
) -> Result<(Identity, ProviderTokens), LoginError> {
    let provider = app.providers.get(&pending.provider).ok_or(LoginError::NotConfigured)?;
    // Before anything else: an answer from another provider must not even be believed an error (RFC 9207).
    provider.check_issuer(params.get("iss")).await?;
    if let Some(error) = params.get("error") {
        return Err(LoginError::Refused(error.chars().filter(char::is_ascii_graphic).take(64).collect()));
    }
    let code = SecretString::from(params.get("code").ok_or(LoginError::Empty)?);
    let login = login(issuer, pending, params.get("state").unwrap_or_default());
    Ok(provider.exchange(&code, &login, app.now()).await?)
}

async fn grant(
    app: &App,
    pending: &Pending,
    client: Client,
    identity: Identity,
    tokens: &ProviderTokens,
) -> Result<Token<token::Code>, LoginError> {
    let (random, now, request) = (app.random.as_ref(), app.now(), &pending.request);
    app.server(&request.server).ok_or(LoginError::NotConfigured)?;
    let id = GrantId::generate(random);
    let data_key = SealingKey::generate(random);
    let (master_key, wrapped) = app.keys.wrap(random, &id, &data_key);
    let expires_at = now.after(app.config.lifetimes.code);
    let grant = Grant {
        client: request.client.clone(),
        server: request.server.clone(),
        provider: pending.provider.clone(),
        subject: identity.subject,
        email: identity.email,
        scopes: request.scopes.clone(),
        created_at: now,
        expires_at,
        born: Sequence::default(),
        master_key,
        data_key: wrapped,
        upstream: upstream::seal(random, &data_key, &id, tokens, 0),
        id,
    };
    let code = Token::<token::Code>::generate(random);
    let row = Code {
        grant: grant.id.clone(),
        client: request.client.clone(),
        redirect: request.redirect.clone(),
        server: request.server.clone(),
        challenge: request.challenge.clone(),
        expires_at,
        used: false,
    };
    if client.source != ClientSource::Registered {
        app.store.remember(Client { created_at: now, ..client.record() }).await?;
    }
    let (id, client, subject) = (grant.id.clone(), grant.client.clone(), grant.subject.clone());
    match app.store.grant(grant, code.id(), row).await? {
        Granted::Done => {
            let (server, provider) = (&request.server, &pending.provider);
            tracing::info!(grant = %id, %client, %server, %provider, %subject, "logged in");
            Ok(code)
        }
        Granted::Gone => Err(LoginError::ClientGone),
    }
}

/// A "no" goes straight back to the client. Everything else is shown, with a way back.
async fn refuse(app: &App, issuer: &Issuer, pending: &Pending, error: &LoginError) -> Response {
    let request = &pending.request;
    let url = |code, description: &str| refusal_url(issuer, request, &OAuthError::new(code, description));
    let name = clients::name(app, &request.client).await;
    tracing::warn!(client = %request.client, server = %request.server, provider = %pending.provider, %error, "login failed");
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
        LoginError::Provider(ProviderError::NotAllowed(_)) => {
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

fn unknown_login() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        "This login is not known here",
        "It was not begun in this browser, has been finished already, or took too long. Start again from \
         your application.",
    )
}

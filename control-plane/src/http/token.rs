//! `POST /token` (RFC 6749 section 3.2).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_proto::ids::ServerName;
use portcullis_proto::random::Random;
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::token::{Code, Presented, Refresh};

use super::client::authenticate;
use super::extract::{AtIssuer, Form};
use super::respond::{Failure, json_bytes};
use crate::app::App;
use crate::config::Lifetimes;
use crate::credential::user_token;
use crate::issue::{self, Answer, Issuance};
use crate::issuer::Issuer;
use crate::metrics::TokenLabels;
use crate::oauth::client::Client;
use crate::oauth::code::Redemption;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::grant::Grant;
use crate::oauth::pace::Limit;
use crate::oauth::params::Params;
use crate::oauth::pkce::CodeVerifier;
use crate::oauth::refresh::Rotation;
use crate::oauth::resource;
use crate::oauth::scope::Scopes;
use crate::oauth::token_request::TokenRequest;
use crate::store::{Redeemed, Rotated};

/// How many refreshes may come at once: programs that refresh whenever they start do so in quick succession.
const BURST: u32 = 100;

/// Issues tokens.
pub async fn token(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<Response, Failure> {
    let (grant_type, result) = answer(&app, &issuer, &headers, &params).await;
    let outcome = result.as_ref().map_or_else(|error| error.code.as_str(), |_| "issued");
    app.metrics.tokens.get_or_create(&TokenLabels { grant_type, outcome }).inc();
    match result {
        Ok(answer) => Ok(json_bytes(StatusCode::OK, answer.to_vec())),
        Err(error) => {
            tracing::info!(grant_type, error = outcome, why = error.description, "token request refused");
            Err(error.into())
        }
    }
}

async fn answer(
    app: &App,
    issuer: &Issuer,
    headers: &HeaderMap,
    params: &Params,
) -> (&'static str, Result<Answer, OAuthError>) {
    let client = match authenticate(app, issuer, headers, params).await {
        Ok(client) => client,
        Err(error) => return ("unknown", Err(error)),
    };
    let request = match TokenRequest::parse(params) {
        Ok(request) => request,
        Err(error) => return ("unknown", Err(error)),
    };
    let grant_type = request.grant_type();
    let result = match request {
        TokenRequest::AuthorizationCode { code, redirect_uri, verifier, resource } => {
            redeem(app, issuer, &client, code, redirect_uri, &verifier, resource).await
        }
        TokenRequest::RefreshToken { token, scope, resource } => {
            refresh(app, issuer, &client, token, scope, resource).await
        }
    };
    (grant_type, result)
}

/// RFC 6749 section 4.1.3. Nothing is consumed before everything has been checked.
async fn redeem(
    app: &App,
    issuer: &Issuer,
    client: &Client,
    presented: Presented<'_, Code>,
    redirect_uri: Option<&str>,
    verifier: &CodeVerifier,
    resource: Option<&str>,
) -> Result<Answer, OAuthError> {
    let now = app.now();
    let server = named_server(issuer, resource)?;
    let code_id = presented.id();
    let code = app.store.code(&code_id).await?.ok_or_else(OAuthError::invalid_grant)?;
    code.check(&Redemption { client: &client.id, redirect_uri, verifier, server: server.as_ref() }, now)?;
    let grant = app.store.live_grant(&code.grant).await?.ok_or_else(OAuthError::invalid_grant)?;
    if !issuer.has(&grant.server) || is_over(app, &grant) {
        return Err(OAuthError::invalid_grant());
    }
    let issuance = Issuance {
        scopes: grant.scopes.clone(),
        refresh_scopes: grant.scopes.clone(),
        grant: &grant,
        predecessor: None,
    };
    let (issue, answer) = issuance.make(&app.keys, app.random.as_ref(), &app.config.lifetimes, now)?;
    let token = issue.access.0.short();
    match app.store.redeem(&code_id, issue, now).await? {
        Redeemed::Issued => {
            tracing::info!(grant = %grant.id, client = %client.id, server = %grant.server, token, "code redeemed");
            Ok(answer)
        }
        Redeemed::Replayed(entry) => {
            app.note_revocations(entry.as_slice(), "a code that came again");
            tracing::warn!(grant = %grant.id, client = %client.id, "a code came again: its grant is revoked");
            Err(OAuthError::invalid_grant())
        }
        Redeemed::Gone => Err(OAuthError::invalid_grant()),
    }
}

/// RFC 6749 section 6, with rotation (RFC 9700 section 4.14.2).
async fn refresh(
    app: &App,
    issuer: &Issuer,
    client: &Client,
    presented: Presented<'_, Refresh>,
    scope: Option<Scopes>,
    resource: Option<&str>,
) -> Result<Answer, OAuthError> {
    let now = app.now();
    let server = named_server(issuer, resource)?;
    let presented_id = presented.id();
    let row = app.store.refresh_token(&presented_id).await?.ok_or_else(OAuthError::invalid_grant)?;
    let grant = app.store.live_grant(&row.grant).await?.ok_or_else(OAuthError::invalid_grant)?;
    if grant.client != client.id || !issuer.has(&grant.server) {
        return Err(OAuthError::invalid_grant());
    }
    if server.is_some_and(|server| server != grant.server) {
        return Err(resource::ResourceError::Unknown.into());
    }
    if is_over(app, &grant) {
        return Err(OAuthError::invalid_grant());
    }
    // Otherwise the client would go on refreshing, and its user would not be asked.
    if user_token::is_missing(app, &grant).await? {
        tracing::info!(grant = %grant.id, "refresh refused: the user has to give a token again");
        return Err(OAuthError::invalid_grant());
    }
    let scopes = scope.unwrap_or_else(|| row.scopes.clone()).within(&row.scopes)?;
    let issuance =
        Issuance { scopes, refresh_scopes: row.scopes, grant: &grant, predecessor: Some(presented_id) };
    let (issue, answer) = issuance.make(&app.keys, app.random.as_ref(), &app.config.lifetimes, now)?;
    let token = issue.access.0.short();
    // Whoever has this refresh token may get the answer again for a while, and nobody else.
    let answer_key = SealingKey::of_token(presented);
    let random: &dyn Random = app.random.as_ref();
    let sealed = answer_key.seal(random, &grant.id, Field::RefreshAnswer, &answer);
    let rotation = rotation(&app.config.lifetimes);
    match app.store.rotate(&presented_id, issue, sealed, rotation, app.believed_now()).await? {
        Rotated::Issued => {
            tracing::info!(grant = %grant.id, client = %client.id, server = %grant.server, token, "refreshed");
            Ok(answer)
        }
        Rotated::Repeated(sealed) => {
            tracing::info!(grant = %grant.id, client = %client.id, "refresh repeated: the same answer again");
            Ok(answer_key.open(&grant.id, Field::RefreshAnswer, &sealed)?)
        }
        Rotated::TooSoon(Some(again)) => {
            tracing::info!(grant = %grant.id, client = %client.id, "refreshed too often: the last answer again");
            let own = answer_key.open(&grant.id, Field::RefreshAnswer, &again.answer)?;
            Ok(issue::with_time_left(own, again.expires_at, now))
        }
        Rotated::TooSoon(None) => {
            Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, "refreshed too often: try again later"))
        }
        Rotated::Reused(entry) => {
            app.note_revocations(&[entry], "a refresh token that came again");
            tracing::warn!(grant = %grant.id, client = %client.id, "a refresh token came again: its grant is revoked");
            Err(OAuthError::invalid_grant())
        }
        Rotated::Gone => Err(OAuthError::invalid_grant()),
    }
}

/// By what rules refresh tokens are rotated. A client has reason to refresh once in an access token's life; twice may go
/// on for ever, and [`BURST`] at once. So a grant leaves about as many rows as its lifetimes give reason to.
fn rotation(lifetimes: &Lifetimes) -> Rotation {
    let limit = Limit { every: lifetimes.access_token / 2, burst: BURST };
    Rotation { grace: lifetimes.refresh_grace, limit }
}

/// Whether the user has to log in again, at another provider.
fn is_over(app: &App, grant: &Grant) -> bool {
    let has_moved = app.has_moved(grant);
    if has_moved {
        tracing::info!(grant = %grant.id, server = %grant.server, "the server has another provider by now");
    }
    has_moved
}

/// The server that `resource` names, where it was sent.
fn named_server(issuer: &Issuer, resource: Option<&str>) -> Result<Option<ServerName>, OAuthError> {
    let named = resource.map(|requested| resource::named(&issuer.resources, requested)).transpose()?;
    Ok(named.map(|resource| resource.server.clone()))
}

//! `GET /account`: changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_proto::ids::ClientId;
use portcullis_proto::time::Timestamp;

use super::cookie::SessionCookie;
use super::{login, session, store_failed};
use crate::app::App;
use crate::clients;
use crate::credential::user_token::wanted_by;
use crate::http::extract::AtIssuer;
use crate::http::page::{Account, ConnectedClient, GivenToken, page};
use crate::issuer::Issuer;
use crate::oauth::session::Session;
use crate::oauth::user_token::Holder;
use crate::store::StoreError;

/// Most grants that are shown.
const MOST: usize = 200;

/// Shows the account, or offers the login.
pub async fn show(State(app): State<Arc<App>>, AtIssuer(issuer): AtIssuer, headers: HeaderMap) -> Response {
    let Some(cookie) = SessionCookie::of(&headers, &issuer) else {
        return login::offer(&app, &issuer, &headers);
    };
    let shown = async {
        match session(&app, &issuer, &cookie).await? {
            Some(session) => account(&app, &issuer, &cookie, &session).await,
            None => Ok(login::offer(&app, &issuer, &headers)),
        }
    };
    shown.await.unwrap_or_else(|error| store_failed(&error))
}

async fn account(
    app: &App,
    issuer: &Issuer,
    cookie: &SessionCookie,
    session: &Session,
) -> Result<Response, StoreError> {
    let servers: Vec<_> = issuer.resources.iter().map(|resource| resource.server.clone()).collect();
    let grants = app.store.grants_of(&session.provider, &session.subject, &servers, MOST + 1).await?;
    let more = grants.len() > MOST;
    let mut names: BTreeMap<ClientId, String> = BTreeMap::new();
    let mut clients = Vec::new();
    for grant in grants.into_iter().take(MOST) {
        if !names.contains_key(&grant.client) {
            let name = clients::name(app, &grant.client).await;
            names.insert(grant.client.clone(), name.unwrap_or_else(|| "An unnamed application".into()));
        }
        clients.push(ConnectedClient {
            name: names.get(&grant.client).cloned().unwrap_or_default(),
            server: grant.server.to_string(),
            since: date(grant.created_at),
            grant: grant.id.to_string(),
        });
    }
    let shown = Account {
        user: session.user(),
        provider: session.provider.as_str(),
        clients,
        more,
        tokens: tokens(app, issuer, session).await?,
        csrf: &cookie.csrf(&app.form_key),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// The user's tokens, for each server of this issuer that wants one.
async fn tokens(app: &App, issuer: &Issuer, session: &Session) -> Result<Vec<GivenToken>, StoreError> {
    let mut tokens = Vec::new();
    for name in issuer.resources.iter().map(|resource| &resource.server) {
        let Some((server, settings)) = wanted_by(app, name) else { continue };
        if server.provider != session.provider {
            continue;
        }
        let holder = Holder {
            provider: session.provider.clone(),
            subject: session.subject.clone(),
            server: name.clone(),
        };
        let kept = app.store.user_token(&holder).await?;
        tokens.push(GivenToken {
            label: settings.label.clone(),
            server: name.to_string(),
            since: kept.map(|kept| date(kept.kept_at)),
        });
    }
    Ok(tokens)
}

/// The day, in UTC.
fn date(time: Timestamp) -> String {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(time.as_millis()));
    time.to_string().split('T').next().unwrap_or_default().to_owned()
}

//! `POST /account/replace`: asks for another token in one's place, and takes it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{PATH, Visitor, back, ended, store_failed};
use crate::app::App;
use crate::credential::user_token::{seal, wanted_by};
use crate::http::extract::{AtIssuer, Form};
use crate::http::page::{TokenForm, page, problem_going_back};
use crate::http::user_token::{Untaken, sentence, status, try_token};
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::oauth::user_token::Holder;
use crate::store::StoreError;

/// Without a token, shows the form; with one, checks and keeps it.
pub async fn replace(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let visitor = match Visitor::of_form(&app, &issuer, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal,
    };
    let Some(holder) = visitor.holder(&issuer, form.get("server").unwrap_or_default()) else {
        return back(&issuer);
    };
    if form.get("decision").is_none() {
        return ask(&app, &visitor, &holder, None).unwrap_or_else(|| back(&issuer));
    }
    match take(&app, &issuer, &visitor, &holder, form.get("token").unwrap_or_default()).await {
        Ok(response) => response,
        Err(error) => store_failed(&error),
    }
}

async fn take(
    app: &App,
    issuer: &Issuer,
    visitor: &Visitor,
    holder: &Holder,
    text: &str,
) -> Result<Response, StoreError> {
    let Some((_, settings)) = wanted_by(app, &holder.server) else {
        return Ok(back(issuer));
    };
    if !app.store.attempt_in_session(&visitor.cookie.id(), app.now()).await? {
        return Ok(enough(issuer));
    }
    let token = match try_token(app, settings, text).await {
        Ok(token) => token,
        Err(why) => {
            return Ok(ask(app, visitor, holder, Some(&why)).unwrap_or_else(|| back(issuer)));
        }
    };
    // The check took time: whoever has been logged out or revoked meanwhile changes nothing.
    if super::session(app, issuer, &visitor.cookie).await?.is_none() {
        return Ok(ended(issuer));
    }
    let now = app.now();
    let sealed = seal(&app.keys, app.random.as_ref(), holder, &token, now);
    if let Some(entries) = app.store.replace_user_token(holder, sealed, now).await? {
        app.note_revocations(&entries, "another token of the user's own");
        Metrics::count(&app.metrics.user_tokens, "replaced");
        let Holder { provider, subject, server } = holder;
        tracing::info!(%provider, %subject, %server, "a token of the user's own was replaced");
    }
    Ok(back(issuer))
}

/// The form. `None` where the server wants no token.
fn ask(app: &App, visitor: &Visitor, holder: &Holder, why: Option<&Untaken>) -> Option<Response> {
    let (server, settings) = wanted_by(app, &holder.server)?;
    let problem = why.map(sentence);
    let form = TokenForm {
        label: &settings.label,
        help_url: settings.help_url.as_ref().map(url::Url::as_str),
        server: holder.server.as_str(),
        server_url: server.url.as_str(),
        checked_at: settings.check_url.host_str().unwrap_or_default(),
        user: visitor.session.user(),
        client_name: None,
        action: "/account/replace",
        hidden: ("server", holder.server.as_str()),
        csrf: &visitor.cookie.csrf(&app.form_key),
        problem: problem.as_deref(),
        back: Some(PATH),
    };
    Some(page(status(why), &form))
}

fn enough(issuer: &Issuer) -> Response {
    problem_going_back(
        StatusCode::FORBIDDEN,
        "No token was accepted",
        "There were too many attempts in this session. The token that you gave before is still kept. Log out, and \
         log in again to try another one.",
        &issuer.url(PATH),
        Some("your account"),
    )
}

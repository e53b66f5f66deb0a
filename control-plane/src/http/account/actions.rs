//! What the buttons of the account page do.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use portcullis_proto::ids::{GrantId, ServerName};
use portcullis_proto::revocation::Scope;

use super::cookie::SessionCookie;
use super::{Visitor, back, store_failed};
use crate::app::App;
use crate::http::extract::{AtIssuer, Form};
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::oauth::user_token::Holder;
use crate::store::StoreError;

/// Revokes one of the user's grants. What is not the user's changes nothing, and gets the same answer as what is
/// not there.
pub async fn disconnect(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let visitor = match Visitor::of_form(&app, &issuer, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal,
    };
    let id = GrantId::new(form.get("grant").unwrap_or_default());
    match end_grant(&app, &issuer, &visitor, id).await {
        Ok(()) => back(&issuer),
        Err(error) => store_failed(&error),
    }
}

async fn end_grant(app: &App, issuer: &Issuer, visitor: &Visitor, id: GrantId) -> Result<(), StoreError> {
    let session = &visitor.session;
    let grant = app.store.live_grant(&id).await?.filter(|grant| {
        grant.provider == session.provider && grant.subject == session.subject && issuer.has(&grant.server)
    });
    match grant {
        Some(grant) => {
            app.revoke(Scope::Grant(grant.id), "user").await?;
            Metrics::count(&app.metrics.account, "disconnected");
        }
        // It may have been revoked a moment ago, by a request that has no answer yet.
        None => app.store.settled().await?,
    }
    Ok(())
}

/// Removes a token of the user's own, and with it what is worth nothing without.
pub async fn remove(
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
    match app.store.remove_user_token(&holder, app.now()).await {
        Ok(entries) => {
            app.note_revocations(&entries, "user");
            Metrics::count(&app.metrics.user_tokens, "removed");
            let Holder { provider, subject, server } = &holder;
            tracing::info!(%provider, %subject, %server, "a token of the user's own was removed");
            back(&issuer)
        }
        Err(error) => store_failed(&error),
    }
}

/// Ends the session.
pub async fn logout(
    State(app): State<Arc<App>>,
    AtIssuer(issuer): AtIssuer,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let visitor = match Visitor::of_form(&app, &issuer, &headers, &form).await {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal,
    };
    if let Err(error) = app.store.end_session(&visitor.cookie.id()).await {
        return store_failed(&error);
    }
    Metrics::count(&app.metrics.account, "logged_out");
    let mut response = back(&issuer);
    response.headers_mut().insert(header::SET_COOKIE, SessionCookie::clear(&issuer));
    response
}

// === impl Visitor ===

impl Visitor {
    /// Whose token a form is about: the visitor's own, at a server of this issuer.
    pub(super) fn holder(&self, issuer: &Issuer, server: &str) -> Option<Holder> {
        let server = ServerName::new(server);
        issuer.has(&server).then(|| Holder {
            provider: self.session.provider.clone(),
            subject: self.session.subject.clone(),
            server,
        })
    }
}

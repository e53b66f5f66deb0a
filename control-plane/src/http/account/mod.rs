//! `/account`: what a user sees of what has been granted in the user's name on this origin, and can end.
//!
//! Every form there is a POST that is tied to the session, and does one thing.

mod actions;
mod cookie;
mod login;
mod show;
mod token;

pub use self::actions::{disconnect, logout, remove};
pub use self::login::log_in;
pub(super) use self::login::open_session;
pub use self::show::show;
pub use self::token::replace;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use self::cookie::SessionCookie;
use super::authorize::see_other;
use super::browser::is_same_origin;
use super::page::{problem, problem_going_back};
use crate::app::App;
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::oauth::params::Params;
use crate::oauth::session::Session;
use crate::store::StoreError;

/// Where it is.
const PATH: &str = "/account";

/// Whoever has logged in here, in whose browser a form of this session was sent.
struct Visitor {
    cookie: SessionCookie,
    session: Session,
}

// === impl Visitor ===

impl Visitor {
    /// Whoever sends this form. The answer where it was not sent from a page of this session.
    async fn of_form(
        app: &App,
        issuer: &Issuer,
        headers: &HeaderMap,
        form: &Params,
    ) -> Result<Self, Response> {
        let csrf = form.get("csrf").unwrap_or_default();
        let cookie = SessionCookie::of(headers, issuer)
            .filter(|cookie| is_same_origin(headers) && cookie.allows(&app.form_key, csrf));
        let Some(cookie) = cookie else {
            return Err(forged(app));
        };
        match session(app, issuer, &cookie).await {
            Ok(Some(session)) => Ok(Self { cookie, session }),
            Ok(None) => Err(ended(issuer)),
            Err(error) => Err(store_failed(&error)),
        }
    }
}

/// The session on this issuer's account page.
async fn session(app: &App, issuer: &Issuer, cookie: &SessionCookie) -> Result<Option<Session>, StoreError> {
    let session = app.store.session(&cookie.id(), app.now()).await?;
    Ok(session.filter(|session| session.issuer == issuer.identifier))
}

/// To the page as it is now.
fn back(issuer: &Issuer) -> Response {
    see_other(&issuer.url(PATH))
}

fn forged(app: &App) -> Response {
    Metrics::count(&app.metrics.account, "forged");
    problem(
        StatusCode::FORBIDDEN,
        "This form is not from here",
        "It was not sent from the page that this service has shown in this browser, or you have logged out \
         meanwhile. Open your account page again.",
    )
}

fn ended(issuer: &Issuer) -> Response {
    problem_going_back(
        StatusCode::FORBIDDEN,
        "Your session is over",
        "Nothing has been changed. Log in again.",
        &issuer.url(PATH),
        Some("your account"),
    )
}

fn store_failed(error: &StoreError) -> Response {
    tracing::error!(%error, "the store failed");
    problem(StatusCode::SERVICE_UNAVAILABLE, "This service has a problem", "Try again in a minute.")
}

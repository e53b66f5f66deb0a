//! Where a login leads, judged once more before anything leads there.

use axum::http::StatusCode;
use axum::response::Response;

use super::page::problem;
use crate::app::App;
use crate::metrics::Metrics;
use crate::oauth::pending::AuthorizationRequest;

/// A page instead, where the redirect URI of a stored request is none by today's rule. Minutes have passed since it was
/// approved: an origin may have become ours, and a row is no more than its text.
pub(super) fn refused(app: &App, request: &AuthorizationRequest) -> Option<Response> {
    if request.redirect.is_allowed(app.issuers.origins()) {
        return None;
    }
    Metrics::count(&app.metrics.logins, "failed");
    tracing::warn!(client = %request.client, server = %request.server, "the redirect URI is not allowed any more");
    Some(problem(
        StatusCode::BAD_REQUEST,
        "This login leads nowhere",
        "The address to which the application wants you to be sent back is not allowed any more. Nothing has been \
         granted, and you have not been sent anywhere.",
    ))
}

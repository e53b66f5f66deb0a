//! The authorization request (RFC 6749 section 4.1.1): the URL that the browser is sent to.

use std::borrow::Cow;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use url::Url;

use super::{App, Login};
use crate::oauth::scope::Scopes;

/// Parameters of the authorization request that nobody configures: setting them twice, or otherwise, would
/// undo what is checked when the browser comes back.
pub const OWN_PARAMETERS: [&str; 11] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Everything that is asked for: what the kind itself needs, the app's, the client's.
pub(super) fn scopes(own: &[&str], app: &App, asked: &[String]) -> Scopes {
    let own = own.iter().map(ToString::to_string);
    Scopes::from_tokens(own.chain(app.scopes.iter().cloned()).chain(asked.iter().cloned()))
}

/// The URL, with PKCE by S256 (RFC 7636 section 4.3) and, where there is one, the nonce.
pub(super) fn url(endpoint: &Url, app: &App, login: &Login<'_>, scopes: &Scopes, nonce: Option<&str>) -> Url {
    let client = BasicClient::new(ClientId::new(login.acting.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(endpoint.clone()))
        .set_redirect_uri(RedirectUrl::from_url(login.redirect_uri.clone()));
    let verifier = PkceCodeVerifier::new(login.verifier.to_owned());
    let mut request = client
        .authorize_url(|| CsrfToken::new(login.state.to_owned()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .add_scopes(scopes.iter().map(|scope| Scope::new(scope.to_owned())));
    if let Some(nonce) = nonce {
        request = request.add_extra_param("nonce", nonce);
    }
    for (name, value) in &app.authorize_parameters {
        if !OWN_PARAMETERS.contains(&name.as_str()) {
            request = request.add_extra_param(Cow::Borrowed(name.as_str()), Cow::Borrowed(value.as_str()));
        }
    }
    request.url().0
}

//! The authorization request (RFC 6749 section 4.1.1), checked in two steps: where an answer may go, then
//! everything else. Only once the first step has given a [`RedirectTarget`] is anything ever redirected.

use thiserror::Error;
use url::Origin;

use super::client::Client;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use super::pending::AuthorizationRequest;
use super::pkce::CodeChallenge;
use super::redirect_uri::RedirectTarget;
use super::resource::{self, Resource};
use super::scope::Scopes;
use crate::limit::Limit;

/// Longest `state`, in bytes.
const MAX_STATE: usize = 2048;

/// Why a request is answered with a page of our own: there is nobody to redirect to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unaddressed {
    /// No `redirect_uri`, and the client has several.
    #[error("redirect_uri is missing, and the client has registered more than one")]
    Missing,
    /// One that the client has not registered.
    #[error("redirect_uri is not one that the client has registered")]
    NotRegistered,
}

/// Where the answer may go.
pub fn target(params: &Params, client: &Client, own: &[Origin]) -> Result<RedirectTarget, Unaddressed> {
    match params.get("redirect_uri") {
        Some(requested) => {
            RedirectTarget::choose(&client.redirect_uris, requested, own).ok_or(Unaddressed::NotRegistered)
        }
        None => RedirectTarget::only(&client.redirect_uris, own).ok_or(Unaddressed::Missing),
    }
}

/// Everything else. An error goes back to the client.
pub fn check(
    params: &Params,
    client: &Client,
    redirect: RedirectTarget,
    resources: &[Resource],
) -> Result<AuthorizationRequest, OAuthError> {
    if params.require("response_type")? != "code" {
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "response_type must be code"));
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "response_mode must be query"));
    }
    if params.get("state").is_some_and(|state| state.len() > MAX_STATE) {
        let description = format!("state has more than {MAX_STATE} bytes");
        return Err(OAuthError::new(ErrorCode::InvalidRequest, description).because_of(Limit::State));
    }
    let challenge =
        CodeChallenge::from_params(params.get("code_challenge"), params.get("code_challenge_method"))?;
    let resource = resource::choose(resources, params.get("resource"))?;
    let scopes = match params.get("scope") {
        Some(text) => Scopes::parse(text)?.offered_by(&resource.scopes)?,
        None => resource.scopes.clone(),
    };
    Ok(AuthorizationRequest {
        client: client.id.clone(),
        redirect,
        state: params.get("state").map(ToOwned::to_owned),
        server: resource.server.clone(),
        scopes,
        challenge,
    })
}

#[cfg(test)]
mod tests;

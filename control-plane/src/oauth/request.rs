//! The authorization request (RFC 6749 section 4.1.1), checked in two steps: where an answer may go, then
//! everything else. Only once the first step has given a [`RedirectTarget`] is anything ever redirected.

use std::slice;

use thiserror::Error;
use url::Origin;

use super::client::Client;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use super::pending::AuthorizationRequest;
use super::pkce::CodeChallenge;
use super::redirect_uri::RedirectTarget;
use super::resource::{self, Resource, ResourceError};
use super::scope::Scopes;

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

/// A request in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It says what it wants.
    Complete(AuthorizationRequest),
    /// It does not say at which server.
    Ambiguous(Ambiguous),
}

/// A request that names none of several servers, as those of clients of MCP 2025-03-26 do: the user must say which is
/// meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// Where the answer goes, whichever is meant.
    pub redirect: RedirectTarget,
    /// The client's `state`.
    pub state: Option<String>,
    /// What it means at each server at which it can mean something; more than one.
    pub meanings: Vec<AuthorizationRequest>,
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
///
/// A request without `resource` is for the one server that there is. Where there are several, it can be for each that
/// has a scope that is asked for.
pub fn check(
    params: &Params,
    client: &Client,
    redirect: RedirectTarget,
    resources: &[Resource],
) -> Result<Checked, OAuthError> {
    if params.require("response_type")? != "code" {
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "response_type must be code"));
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "response_mode must be query"));
    }
    if params.get("state").is_some_and(|state| state.len() > MAX_STATE) {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "state is too long"));
    }
    let challenge =
        CodeChallenge::from_params(params.get("code_challenge"), params.get("code_challenge_method"))?;
    let resources = match params.get("resource") {
        Some(requested) => slice::from_ref(resource::named(resources, requested)?),
        None => resources,
    };
    let asked = params.get("scope").map(Scopes::parse).transpose()?;
    let state = params.get("state").map(ToOwned::to_owned);
    let (mut meanings, mut refusal) = (Vec::new(), OAuthError::from(ResourceError::Unknown));
    for resource in resources {
        let scopes = match &asked {
            Some(asked) => asked.clone().offered_by(&resource.scopes),
            None => Ok(resource.scopes.clone()),
        };
        match scopes {
            Ok(scopes) => meanings.push(AuthorizationRequest {
                client: client.id.clone(),
                redirect: redirect.clone(),
                state: state.clone(),
                server: resource.server.clone(),
                scopes,
                challenge: challenge.clone(),
            }),
            Err(error) => refusal = error.into(),
        }
    }
    match meanings.len() {
        0 | 1 => meanings.pop().map(Checked::Complete).ok_or(refusal),
        _ => Ok(Checked::Ambiguous(Ambiguous { redirect, state, meanings })),
    }
}

#[cfg(test)]
mod tests;

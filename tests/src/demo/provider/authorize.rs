//! The authorization endpoint and the login page behind it (OpenID Connect Core 1.0 section 3.1.2).

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use url::Url;

use super::user::{USERS, User};
use super::{Code, Parameters, Provider, Request, Session, Unbound, secret};

const CODE_LIFETIME: Duration = Duration::from_mins(1);

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    issuer: &'a str,
    client: &'a str,
    scope: &'a str,
    request: &'a str,
    users: &'a [User],
}

/// Why a request gets no login page.
enum Refusal {
    /// The client or its redirect URI is unknown: nobody is redirected.
    Local(&'static str),
    /// The client is told (RFC 6749 section 4.1.2.1).
    Redirect(Url),
}

pub(super) async fn show(
    State(provider): State<Arc<Provider>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let request = match check(&provider, &parameters) {
        Ok(request) => request,
        Err(Refusal::Local(reason)) => return (StatusCode::BAD_REQUEST, reason).into_response(),
        Err(Refusal::Redirect(to)) => return Redirect::to(to.as_str()).into_response(),
    };
    let id = secret("");
    let page = LoginPage {
        issuer: &provider.settings.issuer,
        client: &provider.settings.client_id,
        scope: &request.session.scope,
        request: &id,
        users: &USERS,
    };
    let Ok(html) = page.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    provider.state().logins.insert(id, request);
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Html(html)).into_response()
}

pub(super) async fn login(State(provider): State<Arc<Provider>>, Form(form): Form<Parameters>) -> Response {
    let request = form.get("request").and_then(|id| provider.state().logins.take(id));
    let Some(Request { redirect_uri, state, session, challenge }) = request else {
        return (StatusCode::BAD_REQUEST, "This login is over. Go back to the application and start again.")
            .into_response();
    };
    let redirect = |outcome| {
        Redirect::to(answer(&provider, &redirect_uri, state.as_deref(), outcome).as_str()).into_response()
    };
    let Some(user) = form.get("user").and_then(|id| User::find(id)) else {
        return redirect(("error", "access_denied"));
    };
    let code = secret("demo_code_");
    let issued = Code {
        session: Session { user, scope: session.scope, nonce: session.nonce },
        redirect_uri: redirect_uri.clone(),
        challenge,
        expires_at: provider.now().after(CODE_LIFETIME),
    };
    provider.state().codes.insert(code.clone(), issued);
    redirect(("code", &code))
}

fn check(provider: &Provider, parameters: &Parameters) -> Result<Request, Refusal> {
    let get = |name: &str| parameters.get(name).map(String::as_str);
    let settings = &provider.settings;
    if get("client_id") != Some(&settings.client_id) {
        return Err(Refusal::Local("client_id is not this provider's client"));
    }
    let redirect_uri = get("redirect_uri")
        .filter(|uri| settings.redirect_uris.iter().any(|registered| registered == uri))
        .and_then(|uri| Url::parse(uri).ok())
        .ok_or(Refusal::Local("redirect_uri is not registered"))?;
    let state = get("state");
    let scope = get("scope").unwrap_or_default();
    let refuse = |error| Err(Refusal::Redirect(answer(provider, &redirect_uri, state, ("error", error))));
    if get("response_type") != Some("code") {
        return refuse("unsupported_response_type");
    }
    if !scope.split(' ').any(|scope| scope == "openid") {
        return refuse("invalid_scope");
    }
    let (Some(challenge), Some("S256")) = (get("code_challenge"), get("code_challenge_method")) else {
        return refuse("invalid_request");
    };
    Ok(Request {
        session: Unbound { scope: scope.to_owned(), nonce: get("nonce").map(str::to_owned) },
        challenge: challenge.to_owned(),
        state: state.map(str::to_owned),
        redirect_uri,
    })
}

/// The authorization response, with `iss` (RFC 9207).
fn answer(provider: &Provider, redirect_uri: &Url, state: Option<&str>, outcome: (&str, &str)) -> Url {
    let mut to = redirect_uri.clone();
    to.query_pairs_mut()
        .extend_pairs([outcome])
        .extend_pairs(state.map(|state| ("state", state)))
        .extend_pairs([("iss", &provider.settings.issuer)]);
    to
}

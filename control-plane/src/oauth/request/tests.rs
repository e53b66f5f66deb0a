use portcullis_proto::ids::{ClientId, ServerName};
use portcullis_proto::time::Timestamp;
use url::Url;

use super::*;
use crate::oauth::client::{ClientAuth, ClientSource};
use crate::oauth::redirect_uri::RedirectUri;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn client() -> Client {
    Client {
        id: ClientId::new("c"),
        name: None,
        uri: None,
        source: ClientSource::Registered,
        auth: ClientAuth::None,
        redirect_uris: vec![RedirectUri::parse("https://app.example/cb", &[]).unwrap()],
        created_at: Timestamp::default(),
        unused_until: None,
    }
}

fn resources() -> Vec<Resource> {
    vec![Resource {
        server: ServerName::new("demo"),
        url: Url::parse("https://mcp.example/demo").unwrap(),
        scopes: Scopes::parse("openid email").unwrap(),
    }]
}

fn good() -> Vec<(&'static str, &'static str)> {
    vec![
        ("response_type", "code"),
        ("redirect_uri", "https://app.example/cb"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "xyz"),
    ]
}

fn params(pairs: &[(&str, &str)]) -> Params {
    Params::parse(&url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()).unwrap()
}

fn run(pairs: &[(&str, &str)]) -> Result<AuthorizationRequest, OAuthError> {
    match run_at(&resources(), pairs)? {
        Checked::Complete(request) => Ok(request),
        Checked::Ambiguous(request) => panic!("there is only one server: {request:?}"),
    }
}

fn run_at(resources: &[Resource], pairs: &[(&str, &str)]) -> Result<Checked, OAuthError> {
    let params = params(pairs);
    let target = target(&params, &client(), &[]).unwrap();
    check(&params, &client(), target, resources)
}

/// The good request, but with one parameter changed, or left out where the value is empty.
fn refusal(name: &'static str, value: &'static str) -> ErrorCode {
    let mut pairs: Vec<_> = good().into_iter().filter(|(other, _)| *other != name).collect();
    pairs.push((name, value));
    run(&pairs).expect_err(name).code
}

#[test]
fn scope_and_resource_may_be_missing() {
    let request = run(&good()).unwrap();
    assert_eq!(request.server, ServerName::new("demo"));
    assert_eq!(request.scopes.to_string(), "openid email");
    assert_eq!(request.state.as_deref(), Some("xyz"));
}

#[test]
fn fewer_scopes_may_be_asked_for() {
    let mut pairs = good();
    pairs.push(("scope", "email"));
    assert_eq!(run(&pairs).unwrap().scopes.to_string(), "email");
}

#[test]
fn scopes_that_clients_know_from_elsewhere_are_left_out() {
    let mut pairs = good();
    pairs.push(("scope", "openid profile offline_access"));
    assert_eq!(run(&pairs).unwrap().scopes.to_string(), "openid");
}

#[test]
fn each_fault_has_its_code() {
    assert_eq!(refusal("response_type", ""), ErrorCode::InvalidRequest);
    assert_eq!(refusal("response_type", "token"), ErrorCode::UnsupportedResponseType);
    assert_eq!(refusal("response_mode", "fragment"), ErrorCode::InvalidRequest);
    assert_eq!(refusal("scope", "admin"), ErrorCode::InvalidScope);
}

#[test]
fn t04_pkce_faults_are_invalid_request() {
    assert_eq!(refusal("code_challenge", ""), ErrorCode::InvalidRequest);
    assert_eq!(refusal("code_challenge_method", ""), ErrorCode::InvalidRequest);
    assert_eq!(refusal("code_challenge_method", "plain"), ErrorCode::InvalidRequest);
}

#[test]
fn t16_wrong_resources_are_invalid_target() {
    assert_eq!(refusal("resource", "https://mcp.example/other"), ErrorCode::InvalidTarget);
    assert_eq!(refusal("resource", "https://mcp.example/demo#x"), ErrorCode::InvalidTarget);
}

#[test]
fn t01_an_unregistered_redirect_uri_leads_nowhere() {
    let target = |uri| target(&params(&[("redirect_uri", uri)]), &client(), &[]);
    assert_eq!(target("https://evil.example/cb"), Err(Unaddressed::NotRegistered));
    assert!(target("https://app.example/cb").is_ok());
    assert!(super::target(&params(&[]), &client(), &[]).is_ok());
}

#[test]
fn where_several_servers_may_be_meant_each_has_its_own_scopes() {
    let other = Resource {
        server: ServerName::new("other"),
        url: Url::parse("https://mcp.example/other").unwrap(),
        scopes: Scopes::parse("email repo").unwrap(),
    };
    let both = [resources(), vec![other]].concat();
    let with = |more: &[(&'static str, &'static str)]| run_at(&both, &[&good(), more].concat());
    let meanings = |checked| match checked {
        Ok(Checked::Ambiguous(Ambiguous { meanings, redirect, state })) => {
            assert_eq!((redirect.as_str(), state.as_deref()), ("https://app.example/cb", Some("xyz")));
            meanings.iter().map(|request| format!("{}: {}", request.server, request.scopes)).collect()
        }
        other => vec![format!("{other:?}")],
    };
    assert_eq!(meanings(with(&[])), ["demo: openid email", "other: email repo"]);
    assert_eq!(meanings(with(&[("scope", "email repo")])), ["demo: email", "other: email repo"]);
    // What only one of them has can be meant for that one alone.
    for (scope, server) in [("repo", "other"), ("openid admin", "demo")] {
        let Ok(Checked::Complete(request)) = with(&[("scope", scope)]) else { panic!("{scope}") };
        assert_eq!(request.server.as_str(), server);
    }
    assert_eq!(with(&[("scope", "admin")]).unwrap_err().code, ErrorCode::InvalidScope);
    let named = with(&[("resource", "https://mcp.example/other"), ("scope", "email")]);
    let Ok(Checked::Complete(request)) = named else { panic!("{named:?}") };
    assert_eq!((request.server.as_str(), request.scopes.to_string().as_str()), ("other", "email"));
}

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::token::{Access, Refresh, Token};
use prost::Message;

use super::Incoming;
use crate::decide::Refusal;

/// Envoy's message, as it arrives.
fn arrived(request: &CheckRequest) -> crate::ext_authz::CheckRequest {
    prost::Message::decode(request.encode_to_vec().as_slice()).unwrap()
}

fn request(http: HttpRequest) -> CheckRequest {
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request { http: Some(http), ..Default::default() }),
            context_extensions: HashMap::from([("server".to_owned(), "demo".to_owned())]),
            ..Default::default()
        }),
    }
}

fn with_header(value: impl Into<String>) -> CheckRequest {
    let headers = HashMap::from([("authorization".to_owned(), value.into())]);
    request(HttpRequest { headers, ..Default::default() })
}

fn with_raw_headers(values: &[&[u8]]) -> CheckRequest {
    let header = |value: &&[u8]| HeaderValue {
        key: "authorization".to_owned(),
        raw_value: value.to_vec(),
        ..Default::default()
    };
    let map = HeaderMap { headers: values.iter().map(header).collect() };
    request(HttpRequest { header_map: Some(map), ..Default::default() })
}

fn refusal(request: &CheckRequest) -> Refusal {
    Incoming::read(&arrived(request)).token().unwrap_err()
}

fn token() -> Token<Access> {
    Token::generate(&SystemRandom)
}

#[test]
fn one_bearer_token_is_read() {
    let token = token();
    let header = format!("Bearer {}", token.expose());
    for request in [with_header(header.clone()), with_raw_headers(&[header.as_bytes()])] {
        let request = arrived(&request);
        let incoming = Incoming::read(&request);
        assert_eq!(incoming.server, "demo");
        assert_eq!(incoming.token().unwrap().id(), token.id());
    }
}

#[test]
fn t24_no_authorization_is_a_missing_token() {
    assert_eq!(refusal(&request(HttpRequest::default())), Refusal::MissingToken);
    assert_eq!(refusal(&CheckRequest::default()), Refusal::MissingToken);
}

#[test]
fn t24_a_token_in_the_query_does_not_count() {
    let query = format!("access_token={}", token().expose());
    let http = HttpRequest { path: format!("/mcp?{query}"), query, ..Default::default() };
    assert_eq!(refusal(&request(http)), Refusal::MissingToken);
}

#[test]
fn t24_two_authorization_headers_are_refused_even_where_they_agree() {
    let header = format!("Bearer {}", token().expose());
    assert_eq!(refusal(&with_header(format!("{header},{header}"))), Refusal::Malformed);
    assert_eq!(refusal(&with_header(format!("{header}, {header}"))), Refusal::Malformed);
    assert_eq!(refusal(&with_header(format!("{header},"))), Refusal::Malformed);
    assert_eq!(refusal(&with_raw_headers(&[header.as_bytes(), header.as_bytes()])), Refusal::Malformed);
    let mut both = with_header(header.clone());
    let http = both.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
    let raw = HeaderValue { key: "Authorization".to_owned(), value: header, ..Default::default() };
    http.header_map = Some(HeaderMap { headers: vec![raw] });
    assert_eq!(refusal(&both), Refusal::Malformed);
}

#[test]
fn t24_every_other_spelling_of_the_scheme_is_refused() {
    let token = token();
    let text = token.expose();
    for header in [
        format!("bearer {text}"),
        format!("BEARER {text}"),
        format!("Bearer  {text}"),
        format!("Bearer\t{text}"),
        format!(" Bearer {text}"),
        format!("Bearer {text} "),
        format!("Basic {text}"),
        format!("DPoP {text}"),
        format!("Bearer{text}"),
        text.to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
    ] {
        assert_eq!(refusal(&with_header(header.clone())), Refusal::Malformed, "{header}");
    }
}

#[test]
fn t24_a_token_of_8_kib_is_refused() {
    let long = token().expose().repeat(8192 / 56 + 1);
    assert_eq!(refusal(&with_header(format!("Bearer {long}"))), Refusal::Malformed);
}

#[test]
fn t24_bytes_outside_ascii_are_refused() {
    let token = token();
    let text = token.expose();
    assert_eq!(refusal(&with_header(format!("Bearer {}!", &text[..55]))), Refusal::Malformed);
    assert_eq!(refusal(&with_header(format!("Bearer {text}é"))), Refusal::Malformed);
    assert_eq!(refusal(&with_header(format!("Bearer\u{a0}{text}"))), Refusal::Malformed);
    let raw = [b"Bearer ", text.as_bytes(), b"\xff"].concat();
    assert_eq!(refusal(&with_raw_headers(&[&raw])), Refusal::Malformed);
}

#[test]
fn t24_a_mistyped_token_and_one_of_another_kind_are_refused() {
    let mistyped = token().expose()[..55].to_owned();
    let refresh = Token::<Refresh>::generate(&SystemRandom);
    for text in [&mistyped, refresh.expose(), "ya29.provider-token"] {
        assert_eq!(refusal(&with_header(format!("Bearer {text}"))), Refusal::Malformed);
    }
}

#[test]
fn the_server_comes_from_the_route_and_nowhere_else() {
    let mut request = request(HttpRequest { path: "/demo/mcp".to_owned(), ..Default::default() });
    request.attributes.as_mut().unwrap().context_extensions.clear();
    assert_eq!(Incoming::read(&arrived(&request)).server, "");
}

#[test]
fn t24_a_token_of_another_kind_is_read_from_one_plain_bearer_header_only() {
    let foreign = |request: &CheckRequest| Incoming::read(&arrived(request)).foreign().is_some();
    assert!(foreign(&with_header("Bearer ghp_token")));
    assert!(foreign(&with_raw_headers(&[b"Bearer ghp_token"])));
    for header in
        ["bearer ghp_token", "Basic ghp_token", "ghp_token", "Bearer  ghp_token", "Bearer ghp_token "]
    {
        assert!(!foreign(&with_header(header)), "{header}");
    }
    assert!(!foreign(&with_header("Bearer ghp_token,Bearer ghp_token")));
    assert!(!foreign(&with_raw_headers(&[b"Bearer ghp_token", b"Bearer ghp_token"])));
    assert!(!foreign(&with_raw_headers(&[b"Bearer ghp_\xff"])));
    assert!(!foreign(&with_header(format!("Bearer {}", token().expose()))));
    assert!(!foreign(&CheckRequest::default()));
}

#[test]
fn t18_no_debug_output_of_a_request_shows_its_headers() {
    for request in [with_header("Bearer s3cr3t"), with_raw_headers(&[b"Bearer s3cr3t"])] {
        let debug = format!("{:?}", arrived(&request));
        assert!(debug.contains("authorization") && !debug.contains("s3cr3t"), "{debug}");
    }
}

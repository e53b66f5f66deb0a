//! What clients send: tokens, Envoy's messages about their requests, forms.

use portcullis_authz::ext_authz::{
    AttributeContext, CheckRequest, HeaderMap, HeaderValue, HttpRequest, Pair, Request,
};
use portcullis_authz::request::Incoming;
use portcullis_control_plane::oauth::params::Params;
use portcullis_control_plane::oauth::token_request::{self, TokenRequest};
use portcullis_proto::token::{Access, ClientSecret, Code, PREFIX, Presented, Refresh};
use prost::Message;
use url::form_urlencoded;

use crate::text;

/// Longest value of an Authorization header that can hold a token of ours or pass through.
const LONGEST: usize = "Bearer ".len() + 4096;

/// A text is a token of one kind at most, and then nothing but letters, digits and `_`.
pub(crate) fn token(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let kinds = [
        Presented::<Access>::parse(text).is_ok(),
        Presented::<Refresh>::parse(text).is_ok(),
        Presented::<Code>::parse(text).is_ok(),
        Presented::<ClientSecret>::parse(text).is_ok(),
    ];
    let count = kinds.iter().filter(|is| **is).count();
    assert!(count <= 1, "a token of several kinds");
    if count == 1 {
        assert!(text.starts_with(PREFIX) && text.len() < 100);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    }
}

/// Envoy's message: as protobuf, and with the bytes as the Authorization header in either of its forms.
pub(crate) fn check_request(data: &[u8]) {
    if let Ok(request) = CheckRequest::decode(data) {
        judge(&request);
    }
    let raw_value = data.to_vec().into();
    let raw = HeaderValue { key: "Authorization".into(), raw_value, ..HeaderValue::default() };
    judge(&asked(HttpRequest {
        header_map: Some(HeaderMap { headers: vec![raw] }),
        ..HttpRequest::default()
    }));
    if let Some(text) = text(data) {
        let headers = vec![Pair { key: "authorization".into(), value: text.to_owned().into() }];
        judge(&asked(HttpRequest { headers, ..HttpRequest::default() }));
    }
}

fn asked(http: HttpRequest) -> CheckRequest {
    let request = Some(Request { http: Some(http) });
    CheckRequest { attributes: Some(AttributeContext { request, ..AttributeContext::default() }) }
}

/// Whatever counts as a token is one, in one header, behind `Bearer` and one blank.
fn judge(request: &CheckRequest) {
    let incoming = Incoming::read(request);
    let (token, foreign) = (incoming.token().is_ok(), incoming.foreign().is_some());
    assert!(!(token && foreign), "a token that is ours and is not");
    if token || foreign {
        let http =
            request.attributes.as_ref().and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
        let values: Vec<&[u8]> = http.map(values).unwrap_or_default();
        let [value] = values.as_slice() else { panic!("{} headers make one token", values.len()) };
        assert!(value.starts_with(b"Bearer ") && value.len() <= LONGEST, "no bearer token");
        assert!(value[7..].iter().all(u8::is_ascii_graphic), "not all of it is visible");
        assert!(!value[7..].contains(&b','), "several in one");
    }
}

fn values(http: &HttpRequest) -> Vec<&[u8]> {
    let is_ours = |name: &[u8]| name.eq_ignore_ascii_case(b"authorization");
    let joined = http.headers.iter().filter(|header| is_ours(&header.key)).map(|header| &*header.value);
    let list = http.header_map.iter().flat_map(|map| &map.headers);
    let raw = list
        .filter(|header| is_ours(&header.key))
        .map(|header| if header.raw_value.is_empty() { &*header.value } else { &*header.raw_value });
    joined.chain(raw).collect()
}

/// A form is read as every other reader of forms reads it, where it is taken at all.
pub(crate) fn form(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(params) = Params::parse(text) else { return };
    let pairs: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
    assert!(pairs.len() <= 50, "more than there may be");
    for (name, value) in &pairs {
        let same_name = pairs.iter().filter(|(other, _)| other == name).count();
        assert_eq!(same_name, 1, "a parameter that is there several times");
        assert_eq!(params.get(name).unwrap_or_default(), value, "read in another way");
    }
}

/// A token request names one client, and one way in which that authenticates.
pub(crate) fn token_request(data: &[u8]) {
    let Some(text) = text(data) else { return };
    // The first line is the Authorization header, where it has one.
    let (header, body) = text.split_once('\n').unwrap_or(("", text));
    let header = Some(header).filter(|header| !header.is_empty());
    let Ok(params) = Params::parse(body) else { return };
    if let Ok(credentials) = token_request::credentials(header, &params) {
        assert!(!credentials.client().as_str().is_empty(), "a client without a name");
        if let (Some(_), Some(id)) = (header, params.get("client_id")) {
            assert_eq!(credentials.client().as_str(), id, "two clients in one request");
        }
        assert!(header.is_none() || params.get("client_secret").is_none(), "authenticated twice");
    }
    if let Ok(request) = TokenRequest::parse(&params) {
        assert_eq!(params.get("grant_type"), Some(request.grant_type()));
    }
}

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, OkHttpResponse};
use envoy_types::pb::google::protobuf::{Value, value::Kind};
use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::ids::{ServerName, Subject, TokenId};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::token::{Access, Token};
use prost::Message;
use serde_json::json;

use super::{Audit, allowed, passed_through, refused, undecided};
use crate::catalog::Server;
use crate::credential::Credential;
use crate::decide::{Denial, Outage, Refusal, decide};
use crate::ext_authz;
use crate::passthrough::{Foreign, pass_through};
use crate::replica::tombstones::Tombstones;
use crate::testing::{record, seal, server};

/// As Envoy does.
fn read(response: &ext_authz::CheckResponse) -> CheckResponse {
    CheckResponse::decode(response.as_bytes()).unwrap()
}

fn allow(record: &TokenRecord, headers: &[(&str, &str)]) -> CheckResponse {
    allow_at(&server(), &Token::generate(&SystemRandom), record, headers)
}

fn allow_at(
    server: &Server,
    token: &Token<Access>,
    record: &TokenRecord,
    headers: &[(&str, &str)],
) -> CheckResponse {
    let record = seal(record.clone(), token, headers);
    let tombstones = Tombstones::default();
    let permit = decide(server, &record, &tombstones, record.issued_at).unwrap();
    let credential = Credential::open(&permit, token.as_presented()).unwrap();
    read(&allowed(&permit, server, &credential))
}

fn deny(denial: Denial) -> CheckResponse {
    let record = record();
    let audit = Audit { server: "demo", token: Some(record.token), record: Some(&record) };
    read(&match denial {
        Denial::Refused(refusal) => refused(refusal, &server(), &audit),
        Denial::Undecided(outage) => undecided(outage, &audit),
    })
}

fn status(response: &CheckResponse) -> i32 {
    response.status.as_ref().expect("no status is an allow").code
}

fn ok(response: CheckResponse) -> OkHttpResponse {
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("not an OK response: {other:?}"),
    }
}

fn denied_response(response: CheckResponse) -> (i32, HashMap<String, String>, serde_json::Value) {
    match response.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => {
            (denied.status.unwrap().code, values(&denied.headers), denied.body.parse().unwrap())
        }
        other => panic!("not a denied response: {other:?}"),
    }
}

fn values(headers: &[HeaderValueOption]) -> HashMap<String, String> {
    let pairs = headers.iter().filter_map(|option| option.header.clone());
    pairs.map(|header| (header.key, header.value)).collect()
}

fn facts(response: &CheckResponse) -> HashMap<String, String> {
    let text = |value: &Value| match &value.kind {
        Some(Kind::StringValue(text)) => text.clone(),
        other => panic!("not a string: {other:?}"),
    };
    let fields = &response.dynamic_metadata.as_ref().unwrap().fields;
    fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[test]
fn a_permit_swaps_the_credential_and_sets_every_identity_header() {
    let response = allow(&record(), &[("authorization", "Bearer provider")]);
    assert_eq!(status(&response), 0);
    let ok = ok(response);
    assert_eq!(ok.headers_to_remove, Vec::<String>::new());
    let expected = [
        ("authorization", "Bearer provider"),
        ("x-portcullis-subject", "subject"),
        ("x-portcullis-email", "user@example.com"),
        ("x-portcullis-client", "client"),
        ("x-portcullis-server", "demo"),
        ("x-portcullis-provider", "corp"),
        ("x-portcullis-scopes", "openid tools"),
        ("x-portcullis-grant", "grant"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(values(&ok.headers), HashMap::from(expected));
    for option in &ok.headers {
        assert_eq!(option.append_action, HeaderAppendAction::OverwriteIfExistsOrAdd as i32);
        assert!(option.keep_empty_value);
    }
}

#[test]
fn the_token_never_reaches_a_server_whose_credential_is_another_header() {
    for headers in [&[("x-api-key", "static")][..], &[]] {
        let ok = ok(allow(&record(), headers));
        assert_eq!(ok.headers_to_remove, ["authorization"]);
        assert!(!values(&ok.headers).contains_key("authorization"));
    }
}

#[test]
fn an_identity_header_is_set_where_its_value_is_empty() {
    let response = allow(&TokenRecord { email: None, ..record() }, &[]);
    assert_eq!(values(&ok(response).headers)["x-portcullis-email"], "");
}

#[test]
fn a_credential_cannot_pass_for_an_identity() {
    let ok = ok(allow(&record(), &[("x-portcullis-subject", "somebody else")]));
    let mut last = ok.headers.iter().filter_map(|option| option.header.as_ref());
    let last = last.rfind(|header| header.key == "x-portcullis-subject").unwrap();
    assert_eq!(last.value, "subject"); // Envoy overwrites in this order
}

#[test]
fn an_identity_cannot_end_its_header() {
    let subject = Subject::new("a\r\nx-portcullis-scopes: admin");
    let headers = values(&ok(allow(&TokenRecord { subject, ..record() }, &[])).headers);
    assert_eq!(headers["x-portcullis-subject"], "a%0D%0Ax-portcullis-scopes:%20admin");
}

#[test]
fn t26_no_denial_can_be_taken_for_an_allow() {
    let denials = Refusal::ALL.map(Denial::from).into_iter().chain(Outage::ALL.map(Denial::from));
    for denial in denials {
        let response = deny(denial);
        assert_ne!(status(&response), 0, "{denial:?}");
        let facts = facts(&response);
        assert_eq!((facts["decision"].as_str(), facts["reason"].as_str()), ("deny", denial.reason()));
        let (status, ..) = denied_response(response);
        assert!([401, 403, 503].contains(&status), "{denial:?}");
    }
}

#[test]
fn a_refusal_challenges_and_does_not_say_when_to_try_again() {
    for refusal in Refusal::ALL {
        let (status, headers, body) = denied_response(deny(refusal.into()));
        assert_eq!(status, if refusal == Refusal::InsufficientScope { 403 } else { 401 });
        assert!(headers["www-authenticate"].starts_with("Bearer resource_metadata="));
        assert!(!headers.contains_key("retry-after"));
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(body["error"].is_string() && body["error_description"].is_string());
    }
}

#[test]
fn a_token_that_lacks_scopes_is_challenged_for_them_and_for_its_own() {
    let record = TokenRecord { scopes: vec!["openid".into()], ..record() };
    let audit = Audit { server: "demo", token: Some(record.token), record: Some(&record) };
    let (_, headers, _) = denied_response(read(&refused(Refusal::InsufficientScope, &server(), &audit)));
    assert!(headers["www-authenticate"].contains(r#"scope="openid tools""#), "{headers:?}");
}

#[test]
fn an_outage_says_when_to_try_again_and_does_not_challenge() {
    for outage in Outage::ALL {
        let (status, headers, body) = denied_response(deny(outage.into()));
        assert_eq!(status, 503);
        assert_eq!(headers["retry-after"], "2");
        assert!(!headers.contains_key("www-authenticate"));
        assert_eq!(body, json!({ "error": "temporarily_unavailable" }));
    }
}

#[test]
fn the_access_log_learns_which_token_and_what_no_identity_header_says_and_no_secret() {
    let token = Token::generate(&SystemRandom);
    let token_id = token.id().short();
    let always =
        [("decision", "allow"), ("token_id", &token_id), ("subject", "a b"), ("client_id", "client")];
    let rest = [("server", "demo"), ("provider", "corp"), ("grant_id", "grant")];
    for (withheld, told) in [
        (&[][..], &[][..]),
        (&[IdentityHeader::Email, IdentityHeader::Subject, IdentityHeader::Grant], &rest[2..]),
        (&IdentityHeader::ALL, &rest),
    ] {
        let server = Server { withheld: withheld.to_vec(), ..server() };
        let record = TokenRecord { subject: Subject::new("a b"), ..record() };
        let response = allow_at(&server, &token, &record, &[("authorization", "Bearer provider")]);
        assert!(!format!("{response:?}").contains(token.expose()));
        let expected = always.iter().chain(told);
        let expected = expected.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(facts(&response), expected.collect());
    }
}

#[test]
fn the_access_log_learns_of_a_denial_what_is_known() {
    let (record, server) = (TokenRecord { server: ServerName::new("other"), ..record() }, server());
    let token = record.token.short();
    let [decision, reason, asked] = [("decision", "deny"), ("reason", "wrong_server"), ("server", "demo")];
    let who = [("subject", "subject"), ("client_id", "client"), ("provider", "corp"), ("grant_id", "grant")];
    for (token, record, expected) in [
        (None, None, &[decision, reason, asked][..]),
        (Some(record.token), None, &[decision, reason, asked, ("token_id", &token)]),
        (
            Some(record.token),
            Some(&record),
            &[&[decision, reason, asked, ("token_id", &token)], &who[..]].concat(),
        ),
    ] {
        let audit = Audit { server: "demo", token, record };
        let response = read(&refused(Refusal::WrongServer, &server, &audit));
        let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(facts(&response), expected.collect());
    }
}

/// A server where `x-api-key` and `x-proof` carry credentials, and tokens of its own go through.
fn with_credential_headers() -> Server {
    let credential_headers = ["x-api-key", "x-proof"].map(str::to_owned).to_vec();
    Server { credential_headers, passthrough: vec!["ghp_".to_owned()], ..server() }
}

#[test]
fn t25_a_header_that_carries_a_credential_here_is_never_the_clients_own() {
    let (server, token) = (with_credential_headers(), Token::generate(&SystemRandom));
    for (credential, removed) in [
        (&[("x-api-key", "k"), ("x-proof", "p")][..], &["authorization"][..]),
        (&[("x-api-key", "k")], &["x-proof", "authorization"]),
        (&[("authorization", "Bearer provider")], &["x-api-key", "x-proof"]),
        (&[], &["x-api-key", "x-proof", "authorization"]),
    ] {
        let ok = ok(allow_at(&server, &token, &record(), credential));
        assert_eq!(ok.headers_to_remove, removed, "{credential:?}");
        let set = values(&ok.headers);
        assert!(removed.iter().all(|name| !set.contains_key(*name)));
        assert!(credential.iter().all(|(name, value)| set[*name] == *value));
    }
}

/// Removed and not only left out: the server is not to take the client's own for ours.
#[test]
fn t25_an_identity_header_that_a_server_does_not_get_is_removed() {
    let withheld = vec![IdentityHeader::Email, IdentityHeader::Grant];
    let server = Server { withheld, passthrough: vec!["ghp_".to_owned()], ..server() };
    let removed = ["x-portcullis-email", "x-portcullis-grant"];
    let credential = [("authorization", "Bearer provider")];
    let right = pass_through(&server, Foreign::parse("ghp_s3cr3t").unwrap()).unwrap();
    for response in [
        allow_at(&server, &Token::generate(&SystemRandom), &record(), &credential),
        read(&passed_through(&right, &server)),
    ] {
        let ok = ok(response);
        assert_eq!(ok.headers_to_remove, removed);
        let set = values(&ok.headers);
        for identity in IdentityHeader::ALL {
            assert_eq!(set.contains_key(identity.header()), !removed.contains(&identity.header()), "{set:?}");
        }
    }
}

#[test]
fn what_is_passed_through_keeps_its_token_and_has_no_identity_and_no_credential_of_ours() {
    let server = with_credential_headers();
    let right = pass_through(&server, Foreign::parse("ghp_s3cr3t").unwrap()).unwrap();
    let response = read(&passed_through(&right, &server));
    assert_eq!(status(&response), 0);
    assert!(!format!("{response:?}").contains("s3cr3t"));
    let facts = facts(&response);
    let token_id = TokenId::of("ghp_s3cr3t").short();
    let expected =
        [("decision", "allow"), ("reason", "passthrough"), ("server", "demo"), ("token_id", &token_id)];
    assert_eq!(facts, HashMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned()))));
    let ok = ok(response);
    assert_eq!(ok.headers_to_remove, ["x-api-key", "x-proof"]);
    let set = values(&ok.headers);
    assert_eq!(set.len(), IdentityHeader::ALL.len());
    for identity in IdentityHeader::ALL {
        assert_eq!(set[identity.header()], "", "{identity:?}");
    }
    assert!(ok.headers.iter().all(|option| option.keep_empty_value));
}

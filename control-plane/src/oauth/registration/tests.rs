use portcullis_proto::random::SystemRandom;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(metadata: &Value) -> Result<Registration, MetadataError> {
    Registration::parse(metadata.to_string().as_bytes(), &[])
}

fn with(member: &str, value: &Value) -> Value {
    let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"] });
    metadata[member] = value.clone();
    metadata
}

fn client(metadata: &Value) -> (Client, Option<Token<ClientSecret>>) {
    let (now, later) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
    parse(metadata).unwrap().into_client(&SystemRandom, now, later)
}

#[test]
fn a_client_that_names_no_method_gets_the_default_of_the_rfc() {
    let (client, secret) = client(&json!({ "redirect_uris": ["https://app.example/cb"] }));
    assert_eq!(client.auth, ClientAuth::SecretBasic(secret.unwrap().id()));
    assert_eq!(client.unused_until, Some(Timestamp::from_millis(2)));
}

#[test]
fn a_public_client_gets_no_secret() {
    let (client, secret) = client(&with("token_endpoint_auth_method", &json!("none")));
    assert_eq!(client.auth, ClientAuth::None);
    assert!(secret.is_none());
}

#[test]
fn what_we_do_not_know_is_ignored() {
    assert!(parse(&with("software_id", &json!({ "any": ["thing"] }))).is_ok());
    assert!(parse(&with("grant_types", &json!(["authorization_code", "client_credentials"]))).is_ok());
}

/// The quota of 10,000 unused registrations was 400 MB of them, and a page of operators' lists 20 MB.
#[test]
fn t17_a_registration_is_small() {
    let long =
        |count| json!({ "redirect_uris": vec![format!("https://app.example/{}", "a".repeat(1000)); count] });
    assert!(parse(&long(4)).is_ok());
    assert_eq!(parse(&long(5)).unwrap_err(), MetadataError::LongRedirectUris);
}

#[test]
fn every_fault_is_named() {
    let refusal = |member, value| parse(&with(member, &value)).unwrap_err();
    assert_eq!(refusal("redirect_uris", json!([])), MetadataError::NoRedirectUri);
    assert_eq!(
        refusal("redirect_uris", json!("https://app.example/cb")),
        MetadataError::Type("redirect_uris")
    );
    assert_eq!(refusal("redirect_uris", json!([1])), MetadataError::Type("redirect_uris"));
    assert_eq!(refusal("client_name", json!(1)), MetadataError::Type("client_name"));
    assert_eq!(refusal("token_endpoint_auth_method", json!("client_secret_jwt")), MetadataError::Method);
    assert_eq!(
        refusal("token_endpoint_auth_method", json!("private_key_jwt")),
        MetadataError::Keys(KeyError::Missing)
    );
    assert_eq!(refusal("grant_types", json!(["implicit"])), MetadataError::GrantTypes);
    assert_eq!(refusal("response_types", json!(["token"])), MetadataError::ResponseTypes);
    let many: Vec<_> = (0..21).map(|n| format!("https://app.example/{n}")).collect();
    assert_eq!(refusal("redirect_uris", json!(many)), MetadataError::TooManyRedirectUris);
    assert_eq!(Registration::parse(b"[]", &[]), Err(MetadataError::Syntax));
    assert_eq!(Registration::parse(b"", &[]), Err(MetadataError::Syntax));
}

#[test]
fn t02_schemes_that_run_code_are_refused_at_registration() {
    let refused = parse(&json!({ "redirect_uris": ["https://app.example/cb", "javascript:alert(1)"] }));
    assert_eq!(refused, Err(MetadataError::RedirectUri(RedirectUriError::Scheme)));
}

#[test]
fn t12_display_data_cannot_make_a_page_lie() {
    let name = |text: &str| client(&with("client_name", &json!(text))).0.name;
    assert_eq!(name("  My\n\tApp\u{202e} \u{200b}"), Some("My App".into()));
    assert_eq!(name("\u{7}"), None);
    let long = name(&"x".repeat(5000)).unwrap();
    assert_eq!(long.chars().count(), MAX_NAME + 1);
    for member in ["client_uri", "logo_uri", "tos_uri", "policy_uri"] {
        for uri in ["http://app.example", "javascript:alert(1)", "data:text/html,x", "app"] {
            assert!(parse(&with(member, &json!(uri))).is_err(), "{member} {uri}");
        }
        assert!(parse(&with(member, &json!("https://app.example"))).is_ok());
    }
}

#[test]
fn t15_deep_json_is_refused() {
    let deep = format!("{{\"redirect_uris\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(Registration::parse(deep.as_bytes(), &[]), Err(MetadataError::Syntax));
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_panic(body: Vec<u8>) {
        let _ = Registration::parse(&body, &[]);
    }

    #[test]
    fn names_stay_short_and_clean(text in "\\PC*") {
        if let Some(name) = display_name(&text) {
            prop_assert!(name.chars().count() <= MAX_NAME + 1);
            prop_assert!(!name.chars().any(char::is_control));
        }
    }
}

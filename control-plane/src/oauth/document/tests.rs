use serde_json::{Value, json};

use super::*;
use crate::oauth::client::ClientAuth;
use crate::oauth::client_keys::KeyError;
use crate::oauth::redirect_uri::RedirectUriError;
use crate::provider::testing::SigningKey;

const URL: &str = "https://app.example/client.json";

fn document(changes: &Value) -> Value {
    let mut document = json!({
        "client_id": URL,
        "client_name": "App",
        "redirect_uris": ["https://app.example/cb", "http://127.0.0.1/cb"],
        "token_endpoint_auth_method": "none",
        "logo_uri": "https://app.example/logo.png",
    });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn read(changes: &Value) -> Result<Client, MetadataError> {
    let url = DocumentUrl::parse(URL).unwrap();
    let own = [url::Url::parse("http://localhost:10000").unwrap().origin()];
    client(document(changes).to_string().as_bytes(), &url, &own, Timestamp::from_millis(7))
}

#[test]
fn a_document_describes_the_client_at_its_url() {
    let client = read(&json!({ "client_uri": "https://app.example" })).unwrap();
    assert_eq!(client.id.as_str(), URL);
    assert_eq!(client.source, ClientSource::Document);
    assert_eq!((client.name.as_deref(), client.uri.as_deref()), (Some("App"), Some("https://app.example/")));
    assert_eq!((client.auth, client.unused_until), (ClientAuth::None, None));
    assert_eq!(client.redirect_uris.len(), 2);
}

#[test]
fn a_client_that_names_no_method_is_a_public_one() {
    assert_eq!(read(&json!({ "token_endpoint_auth_method": null })).unwrap().auth, ClientAuth::None);
}

#[test]
fn a_document_is_about_its_own_url_to_the_letter() {
    for other in [
        json!(null),
        json!(1),
        json!(""),
        json!("https://app.example/client.json#"),
        json!("https://App.example/client.json"),
        json!("https://app.example/client.json?"),
    ] {
        let refused = read(&json!({ "client_id": other })).unwrap_err();
        assert!(matches!(refused, MetadataError::ClientId | MetadataError::Type("client_id")), "{other}");
    }
}

#[test]
fn a_document_has_no_secret_and_no_method_that_needs_one() {
    assert_eq!(read(&json!({ "client_secret": "s" })), Err(MetadataError::Secret("client_secret")));
    let expires = json!({ "client_secret_expires_at": 0 });
    assert_eq!(read(&expires), Err(MetadataError::Secret("client_secret_expires_at")));
    for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt", "tls_client_auth", ""] {
        let refused = read(&json!({ "token_endpoint_auth_method": method }));
        assert_eq!(refused, Err(MetadataError::DocumentMethod), "{method}");
    }
}

#[test]
fn keys_are_the_documents_own_or_at_a_uri() {
    let jwks = json!({ "keys": [SigningKey::es256("k").jwk()] });
    let with = |changes: Value| {
        let mut changes = changes;
        changes["token_endpoint_auth_method"] = "private_key_jwt".into();
        read(&changes).map(|client| client.auth)
    };
    assert_eq!(with(json!({ "jwks": jwks })), Ok(ClientAuth::PrivateKeyJwt(KeySource::Set(jwks))));
    let uri = "https://app.example/jwks";
    assert_eq!(with(json!({ "jwks_uri": uri })), Ok(ClientAuth::PrivateKeyJwt(KeySource::Uri(uri.into()))));
    assert_eq!(with(json!({})), Err(MetadataError::Keys(KeyError::Missing)));
}

#[test]
fn t01_t02_t03_redirect_uris_of_documents_are_judged_like_registered_ones() {
    use RedirectUriError as E;
    for (uri, expected) in [
        ("javascript:alert(1)", E::Scheme),
        (" JavaScript:alert(1)", E::Scheme),
        ("\u{1}javascript:alert(1)", E::Scheme),
        ("data:text/html,x", E::Scheme),
        ("blob:https://app.example/x", E::Scheme),
        ("mailto:a@app.example", E::Scheme),
        ("file:///etc/passwd", E::Scheme),
        ("http://app.example/cb", E::NotLoopback),
        ("https://localhost@evil.example/", E::UserInfo),
        ("https://app.example/cb/%2e%2e/x", E::NotNormal),
        ("https://app.example/cb#f", E::Fragment),
        ("http://localhost:10000/callback", E::OwnOrigin),
    ] {
        let refused = read(&json!({ "redirect_uris": ["https://app.example/cb", uri] }));
        assert_eq!(refused, Err(MetadataError::RedirectUri(expected)), "{uri}");
    }
    assert_eq!(read(&json!({ "redirect_uris": [] })), Err(MetadataError::NoRedirectUri));
    assert_eq!(read(&json!({ "redirect_uris": null })), Err(MetadataError::NoRedirectUri));
}

#[test]
fn the_application_type_of_a_document_is_judged_like_a_registered_one() {
    let with = |said: Value| read(&json!({ "application_type": said })).map(|_| ());
    assert_eq!((with(json!("native")), with(json!(null))), (Ok(()), Ok(())));
    assert_eq!(with(json!("web")), Err(MetadataError::RedirectUri(RedirectUriError::NotWeb)));
    assert_eq!(with(json!("desktop")), Err(MetadataError::ApplicationType));
    assert_eq!(with(json!(1)), Err(MetadataError::Type("application_type")));
    let web = json!({ "application_type": "web", "redirect_uris": ["https://app.example/cb"] });
    assert!(read(&web).is_ok());
}

#[test]
fn t12_display_data_of_documents_is_judged_like_registered_one() {
    for changes in [json!({ "client_name": null }), json!({ "client_name": " \u{202e}" })] {
        assert_eq!(read(&changes), Err(MetadataError::Name), "{changes}");
    }
    assert_eq!(read(&json!({ "client_name": "a\u{202e}b" })).unwrap().name.as_deref(), Some("ab"));
    assert_eq!(
        read(&json!({ "logo_uri": "http://app.example/" })),
        Err(MetadataError::DisplayUri("logo_uri"))
    );
}

#[test]
fn what_is_no_object_is_no_document() {
    let url = DocumentUrl::parse(URL).unwrap();
    for body in ["", "null", "[]", "\"x\"", "{", "{}{}"] {
        let refused = client(body.as_bytes(), &url, &[], Timestamp::default());
        assert_eq!(refused, Err(MetadataError::Syntax), "{body}");
    }
}

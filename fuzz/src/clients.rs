//! What clients say of themselves, in registrations and in documents of their own.

use std::sync::LazyLock;

use portcullis_control_plane::oauth::client::Client;
use portcullis_control_plane::oauth::document;
use portcullis_control_plane::oauth::document_url::DocumentUrl;
use portcullis_control_plane::oauth::registration::Registration;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::Timestamp;

use crate::authorization::{OWN, parsed};
use crate::text;

/// More than any client's row in the store has, in bytes.
const LONGEST_ROW: usize = 32 * 1024;

static URL: LazyLock<DocumentUrl> = LazyLock::new(|| {
    DocumentUrl::parse("https://app.example/client.json").unwrap_or_else(|error| panic!("{error}"))
});

/// A registration's body.
pub(crate) fn registration(data: &[u8]) {
    let Ok(registration) = Registration::parse(data, OWN.as_slice()) else { return };
    let (now, end) = (Timestamp::default(), Timestamp::from_millis(1));
    let (client, secret) = registration.into_client(&SystemRandom, now, end);
    judge(&client);
    assert_eq!(client.unused_until, Some(end), "a registration that is never forgotten");
    let has_secret = matches!(client.auth.method(), "client_secret_basic" | "client_secret_post");
    assert_eq!(secret.is_some(), has_secret);
}

/// A document's body; or, where it is one line, its URL.
pub(crate) fn document(data: &[u8]) {
    if let Ok(client) = document::client(data, &URL, OWN.as_slice(), Timestamp::default()) {
        judge(&client);
        assert_eq!(client.id.as_str(), URL.as_str(), "another's document");
        assert!(matches!(client.auth.method(), "none" | "private_key_jwt"), "a secret that all can read");
        assert!(client.name.is_some());
    }
    if let Some(url) = text(data).and_then(|text| DocumentUrl::parse(text).ok()) {
        let parsed = parsed(url.as_str());
        assert_eq!(parsed.scheme(), "https");
        assert!(parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none());
        assert!(parsed.domain().is_some(), "an address in a name's place");
        assert!(!url.display_host().is_empty());
    }
}

/// What holds for every client.
fn judge(client: &Client) {
    assert!(!client.redirect_uris.is_empty() && client.redirect_uris.len() <= 20);
    for uri in &client.redirect_uris {
        crate::authorization::redirect_uri(uri.as_str().as_bytes());
    }
    if let Some(name) = &client.name {
        assert!(!name.is_empty() && name.chars().count() <= 81, "a name that is not cut");
        let hides =
            |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
        assert!(!name.contains(hides), "a name that can make a page lie");
    }
    if let Some(uri) = &client.uri {
        assert_eq!(parsed(uri).scheme(), "https");
    }
    let row = serde_json::to_vec(client).unwrap_or_else(|error| panic!("{error}"));
    assert!(row.len() <= LONGEST_ROW, "{} bytes for one client", row.len());
    let again: Client = serde_json::from_slice(&row).unwrap_or_else(|error| panic!("{error}"));
    assert!(again == *client, "a row that is not what was written");
}

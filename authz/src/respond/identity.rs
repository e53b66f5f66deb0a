//! The identity headers, by which the MCP server knows who calls.

use std::borrow::Cow;
use std::fmt::Write;

use bytestring::ByteString;
use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::record::TokenRecord;

use crate::catalog::Server;

/// What a record says for each of [`IdentityHeader::ALL`] that the server gets. Empty where nothing is known: one that is
/// left out could be the client's own.
pub(super) fn values<'a>(record: &'a TokenRecord, server: &Server) -> [Option<Cow<'a, str>>; 7] {
    IdentityHeader::ALL.map(|header| server.gets(header).then(|| value(record, header)))
}

fn value(record: &TokenRecord, header: IdentityHeader) -> Cow<'_, str> {
    match header {
        IdentityHeader::Subject => encoded(record.subject.as_str()),
        IdentityHeader::Email => encoded(record.email.as_deref().unwrap_or_default()),
        IdentityHeader::Client => encoded(record.client.as_str()),
        IdentityHeader::Server => encoded(record.server.as_str()),
        IdentityHeader::Provider => encoded(record.provider.as_str()),
        IdentityHeader::Scopes => scopes(&record.scopes),
        IdentityHeader::Grant => encoded(record.grant.as_str()),
    }
}

/// Separated by spaces, as in RFC 6749 section 3.3.
fn scopes(scopes: &[ByteString]) -> Cow<'_, str> {
    let Some((first, others)) = scopes.split_first() else { return "".into() };
    others.iter().fold(encoded(first), |mut all, scope| {
        let text = all.to_mut();
        text.push(' ');
        text.push_str(&encoded(scope));
        all
    })
}

/// A text as a header's value: every byte outside visible ASCII, and `%`, as `%XX`. No two texts give the
/// same value, none ends the header, and what is plain stays as it is.
fn encoded(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    if text.bytes().all(plain) {
        return text.into();
    }
    let mut value = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if plain(byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}"); // writing to a String cannot fail
        }
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(encoded("user+tag@example.com"), "user+tag@example.com");
        assert_eq!(encoded("auth0|5f7c8ec7c33c6c004bbafe82"), "auth0|5f7c8ec7c33c6c004bbafe82");
    }

    #[test]
    fn line_breaks_and_other_characters_are_encoded() {
        assert_eq!(encoded("a\r\nx-admin: 1"), "a%0D%0Ax-admin:%201");
        assert_eq!(encoded("Zoë 100%"), "Zo%C3%AB%20100%25");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_header_value_that_gives_it_back(text: String) {
            let value = encoded(&text);
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
            let mut bytes = Vec::new();
            let mut rest = value.as_bytes();
            while let Some((&byte, after)) = rest.split_first() {
                if byte == b'%' {
                    let digits = std::str::from_utf8(&after[..2]).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &after[2..];
                } else {
                    bytes.push(byte);
                    rest = after;
                }
            }
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }
}

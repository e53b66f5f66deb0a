//! What is taken over of what a provider says about a user. It ends up in headers, logs and on pages.

use portcullis_proto::ids::Subject;
use serde_json::Value;

/// Longest `sub`, in characters (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;

/// Longest e-mail address, in bytes (RFC 5321 section 4.5.3.1, with the `@`).
const MAX_EMAIL: usize = 320;

/// An identifier of 1 to 255 printable ASCII characters.
pub(super) fn subject(text: &str) -> Option<Subject> {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    ((1..=MAX_SUBJECT).contains(&text.len()) && printable).then(|| Subject::new(text))
}

/// An e-mail address, where it is a text that can be shown. Display data: whatever else is as good as none.
pub(super) fn email(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    ((1..=MAX_EMAIL).contains(&text.len()) && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// Whether it is a domain name of two labels or more, such as `example.com`.
pub(crate) fn is_domain(text: &str) -> bool {
    let plain = |label: &str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.contains('.') && text.split('.').all(|label| !label.is_empty() && plain(label))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subjects_are_short_printable_ascii() {
        for text in ["1", "248289761001", "auth0|5f7c8ec7", &"a".repeat(255)] {
            assert_eq!(subject(text), Some(Subject::new(text)));
        }
        for text in ["", "a\nb", "a\u{7f}", "é", &"a".repeat(256)] {
            assert_eq!(subject(text), None, "{text:?}");
        }
    }

    #[test]
    fn domains_have_two_labels_or_more() {
        for text in ["example.com", "a.b.example", "xn--bcher-kva.example"] {
            assert!(is_domain(text), "{text}");
        }
        for text in ["", "example", ".", "a.", ".a", "a..b", "a.b/c", "*.a.b", "a b.c", "bücher.example"] {
            assert!(!is_domain(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_email_is_none() {
        let jane = json!("jane@example.com");
        assert_eq!(email(Some(&jane)).as_deref(), Some("jane@example.com"));
        assert_eq!(email(None), None);
        let long = format!("{}@example.com", "a".repeat(320));
        for value in [json!(null), json!(""), json!(1), json!(["a@b"]), json!("a@b\r\nx: y"), json!(long)] {
            assert_eq!(email(Some(&value)), None, "{value}");
        }
    }
}

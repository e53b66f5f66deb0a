//! What is taken over of what a provider says about a user. It ends up in headers, logs and on pages.

use std::collections::BTreeMap;

use portcullis_proto::ids::Subject;
use serde_json::{Map, Value};

use crate::oauth::admission::Questions;

/// Longest `sub`, in characters (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;

/// Longest e-mail address, in bytes (RFC 5321 section 4.5.3.1, with the `@`).
const MAX_EMAIL: usize = 320;

/// An identifier of 1 to 255 printable ASCII characters.
pub(crate) fn subject(text: &str) -> Option<Subject> {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    ((1..=MAX_SUBJECT).contains(&text.len()) && printable).then(|| Subject::new(text))
}

/// An e-mail address, where it is a text that can be shown. Display data: whatever else is as good as none.
pub(super) fn email(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    ((1..=MAX_EMAIL).contains(&text.len()) && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// What a provider says under this name, where it is a text.
pub(super) fn text<'a>(said: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    said.get(name)?.as_str()
}

/// Whether the provider says so. Some write it as a text.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Bool(true))) || value.and_then(Value::as_str) == Some("true")
}

/// Of what a provider says about a user, the claims that are asked about.
pub(super) fn claims(said: &Map<String, Value>, questions: &Questions) -> BTreeMap<String, Vec<String>> {
    let known = questions.claims.iter().filter_map(|name| Some((name.clone(), values(said.get(name)?))));
    known.collect()
}

/// The values of a claim: its own, or those in its list. Numbers and truth values are written as in JSON, where
/// that has one way to write them; whatever else is in it is no value.
fn values(claim: &Value) -> Vec<String> {
    let value = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    };
    match claim {
        Value::Array(list) => list.iter().filter_map(value).collect(),
        other => value(other).into_iter().collect(),
    }
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
    fn only_a_plain_yes_is_true() {
        for yes in [json!(true), json!("true")] {
            assert!(is_true(Some(&yes)), "{yes}");
        }
        for no in
            [json!(false), json!("false"), json!("True"), json!(1), json!("1"), json!(null), json!([true])]
        {
            assert!(!is_true(Some(&no)), "{no}");
        }
        assert!(!is_true(None));
    }

    #[test]
    fn of_the_claims_only_those_are_taken_over_that_are_asked_about() {
        let said = json!({
            "one": "a", "list": ["a", "b", 3, null, ["c"], { "d": "e" }], "none": [], "yes": true, "number": 7,
            "fraction": 0.5, "nothing": null, "section": { "a": "b" }, "secret": "s3cr3t",
        });
        let names = ["one", "list", "none", "yes", "number", "fraction", "nothing", "section", "absent"];
        let questions = Questions { claims: names.map(String::from).into(), ..Questions::default() };
        let known = claims(said.as_object().unwrap(), &questions);
        let expected = [
            ("one", &["a"][..]),
            ("list", &["a", "b", "3"]),
            ("none", &[]),
            ("yes", &["true"]),
            ("number", &["7"]),
            ("fraction", &[]),
            ("nothing", &[]),
            ("section", &[]),
        ];
        let expected = expected.map(|(name, values)| {
            (name.to_owned(), values.iter().map(ToString::to_string).collect::<Vec<_>>())
        });
        assert_eq!(known, expected.into());
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

//! Parameters of a query or a form (RFC 6749 appendix B), decoded strictly.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use zeroize::Zeroizing;

/// Twice as many parameters as any request has use for.
const MAX_PARAMS: usize = 50;

/// Decoded parameters, each of them there once. Values may be secrets: they are not shown, and erased.
pub struct Params(BTreeMap<String, Zeroizing<String>>);

/// Why a query or form is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParamsError {
    /// Not UTF-8 once decoded.
    #[error("a parameter is not UTF-8")]
    Encoding,
    /// RFC 6749 section 3.1: no parameter more than once.
    #[error("the parameter {0} is there more than once")]
    Repeated(String),
    /// One that is required.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// More than any request needs.
    #[error("there are more than {MAX_PARAMS} parameters")]
    TooMany,
}

// === impl Params ===

impl Params {
    /// Decodes a query string or a form body.
    pub fn parse(text: &str) -> Result<Self, ParamsError> {
        let mut params = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (String::clone(&*decode(name)?), decode(value)?);
            if params.contains_key(name.as_str()) {
                // A page of ours shows it: what comes from a link may be a word there, and no sentence.
                let word = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40);
                return Err(ParamsError::Repeated(word.collect()));
            }
            params.insert(name, value);
            if params.len() > MAX_PARAMS {
                return Err(ParamsError::TooMany);
            }
        }
        Ok(Self(params))
    }

    /// A parameter's value. One without a value counts as not there (RFC 6749 section 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub fn require(&self, name: &'static str) -> Result<&str, ParamsError> {
        self.get(name).ok_or(ParamsError::Missing(name))
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A query with this parameter in the place of one that has no value.
pub fn with(query: &str, name: &str, value: &str) -> String {
    let is_other = |pair: &&str| {
        let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
        !pair.is_empty() && !decode(key).is_ok_and(|key| *key == name)
    };
    let added = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    query.split('&').filter(is_other).chain([added.as_str()]).collect::<Vec<_>>().join("&")
}

/// Decodes one name or value. It may be a secret: nothing of it is left in what is used on the way.
pub fn decode(text: &str) -> Result<Zeroizing<String>, ParamsError> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    // All the room at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(spaced.len()));
    bytes.extend(percent_decode_str(&spaced));
    let text = std::str::from_utf8(&bytes).map_err(|_| ParamsError::Encoding)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_decoded_and_empty_ones_count_as_missing() {
        let params = Params::parse("a=1+2%26&b=&c&&d=%C3%A9").unwrap();
        assert_eq!(params.get("a"), Some("1 2&"));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.get("c"), None);
        assert_eq!(params.get("d"), Some("é"));
        assert_eq!(params.require("b"), Err(ParamsError::Missing("b")));
    }

    #[test]
    fn a_parameter_takes_the_place_of_one_without_a_value() {
        assert_eq!(with("", "r", "a b"), "r=a+b");
        assert_eq!(with("a=1&&r=&b=%20&%72", "r", "x&y"), "a=1&b=%20&r=x%26y");
        assert_eq!(with("rr=1&ar=2", "r", "3"), "rr=1&ar=2&r=3");
    }

    #[test]
    fn t15_repeated_or_undecodable_parameters_are_refused() {
        assert_eq!(Params::parse("a=1&a=1").unwrap_err(), ParamsError::Repeated("a".into()));
        assert_eq!(Params::parse("a=1&%61=2").unwrap_err(), ParamsError::Repeated("a".into()));
        assert_eq!(
            Params::parse("Call+911!&Call+911!").unwrap_err(),
            ParamsError::Repeated("Call911".into())
        );
        assert_eq!(Params::parse("a=%ff").unwrap_err(), ParamsError::Encoding);
        let many: Vec<_> = (0..60).map(|n| format!("p{n}=1")).collect();
        assert_eq!(Params::parse(&many.join("&")).unwrap_err(), ParamsError::TooMany);
    }

    #[test]
    fn t18_debug_shows_names_only() {
        let params = Params::parse("client_secret=hush").unwrap();
        assert_eq!(format!("{params:?}"), r#"{"client_secret"}"#);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = Params::parse(&text);
        }

        #[test]
        fn what_was_encoded_is_decoded(name in "[a-z]{1,9}", value in "\\PC*") {
            let encoded = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(&name, &value)
                .finish();
            let params = Params::parse(&encoded).unwrap();
            prop_assert_eq!(params.get(&name).unwrap_or_default(), value);
        }
    }
}

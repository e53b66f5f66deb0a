//! What somebody was answered, and what can be read in it.

use axum::http::HeaderMap;
use serde_json::Value;
use url::Url;

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What the token endpoint gave.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) scope: String,
}

// === impl Answer ===

impl Answer {
    /// A header's value, empty where it is not there. It is there once at most.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name} is there twice: {self:#?}");
        values.first().map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:#?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// An OAuth error: its status and code. No cache may keep it.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String) {
        assert_eq!(self.header("cache-control"), "no-store", "{self:#?}");
        let json = self.json();
        assert!(json["error_description"].is_string(), "{json}");
        (self.status, json["error"].as_str().unwrap().to_owned())
    }

    #[track_caller]
    pub(crate) fn tokens(&self) -> Tokens {
        assert_eq!(self.status, 200, "{self:#?}");
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Tokens { access: text("access_token"), refresh: text("refresh_token"), scope: text("scope") }
    }

    /// Where the browser is sent by a redirect.
    #[track_caller]
    pub(crate) fn redirect(&self) -> Url {
        assert_eq!(self.status, 303, "{self:#?}");
        Url::parse(self.header("location")).unwrap()
    }

    /// A page of ours that leads nowhere by itself.
    #[track_caller]
    pub(crate) fn is_page(&self, status: u16) -> bool {
        assert_eq!(self.status, status, "{self:#?}");
        self.header("content-type") == "text/html; charset=utf-8"
            && self.header("location").is_empty()
            && !self.body.contains("http-equiv")
    }

    /// The link of the page's button.
    #[track_caller]
    pub(crate) fn button(&self) -> Url {
        let link = between(&self.body, "class=\"button primary\" href=\"", "\"").expect("a button");
        Url::parse(&unescape(link)).unwrap()
    }

    /// The value of a form's hidden field.
    #[track_caller]
    pub(crate) fn hidden(&self, name: &str) -> String {
        self.hidden_if_any(name).unwrap_or_else(|| panic!("no field {name}: {self:#?}"))
    }

    /// The same where there may be none.
    pub(crate) fn hidden_if_any(&self, name: &str) -> Option<String> {
        between(&self.body, &format!("name=\"{name}\" value=\""), "\"").map(unescape)
    }
}

/// A parameter of a URL's query, empty where it is not there.
#[track_caller]
pub(crate) fn param(url: &Url, name: &str) -> String {
    let mut values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let value = values.next().unwrap_or_default();
    assert_eq!(values.next(), None, "{name} is there twice: {url}");
    value
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

/// Undoes what Askama does to `"&'<>`.
fn unescape(text: &str) -> String {
    let marks = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    marks.into_iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

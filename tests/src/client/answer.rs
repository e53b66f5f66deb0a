//! What came back.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::Tokens;
use super::page::Page;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The HTTP headers.
    pub headers: HeaderMap,
    /// The body's text.
    pub body: String,
}

// === impl Answer ===

impl Answer {
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        Self::attempt(request).await.expect("an answer")
    }

    pub(crate) async fn attempt(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { status, headers, body: response.text().await? })
    }

    /// The body as JSON; of an event stream, the last message.
    pub fn json(&self) -> Value {
        let message = self.body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
        serde_json::from_str(message.unwrap_or(&self.body)).expect(&self.body)
    }

    /// The value of a field in a page's first form that has it.
    pub fn field(&self, name: &str) -> String {
        let fields = Page::parse(&self.body).forms.into_iter().flat_map(|form| form.fields);
        let found = fields.filter(|(field, _)| field == name).map(|(_, value)| value).next();
        found.unwrap_or_else(|| panic!("no field {name}: {}", self.body))
    }

    /// The tokens, where the token endpoint gave any.
    pub fn tokens(&self) -> Tokens {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).expect(&self.body)
    }

    /// A parameter of the WWW-Authenticate header (RFC 9110 section 11.6.1).
    pub fn challenge(&self, parameter: &str) -> String {
        let challenge = self.headers.get("www-authenticate").expect("a challenge");
        let challenge = challenge.to_str().expect("text");
        let (_, value) = challenge.split_once(&format!("{parameter}=\"")).expect(challenge);
        value.split('"').next().expect("a first part").to_owned()
    }
}

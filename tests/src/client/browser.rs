//! A browser without a screen: cookies, redirects, forms, and a user who fills them in.

use std::collections::BTreeMap;

use http::header::LOCATION;
use url::Url;

use super::page::{Form, Page};
use super::{Answer, Caller, Failure, form};

/// More pages than any honest login has.
const STEPS: usize = 20;

/// A browser with cookies of its own.
#[derive(Clone, Debug)]
pub struct Browser {
    http: reqwest::Client,
}

/// What the redirect URI receives.
pub type Callback = BTreeMap<String, String>;

/// How a user answers the pages.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    user: &'a str,
    decision: &'a str,
    token: Option<&'a str>,
    server: &'a str,
}

// === impl Visit ===

impl<'a> Visit<'a> {
    /// Approves, and logs in as `user`.
    pub fn approve(user: &'a str) -> Self {
        Self { user, decision: "approve", token: None, server: "" }
    }

    /// The same, and gives this token where one is asked for. Without, the visit ends there.
    #[must_use]
    pub fn with_token(self, token: &'a str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The same, and says that this server is meant where that is asked.
    #[must_use]
    pub fn choosing(self, server: &'a str) -> Self {
        Self { server, ..self }
    }

    /// Denies.
    pub fn deny() -> Self {
        Self { user: "", decision: "deny", token: None, server: "" }
    }

    /// Whether the user has what a form asks for.
    fn can_fill_in(self, form: &Form) -> bool {
        self.token.is_some() || form.fields.iter().all(|(name, _)| name != "token")
    }

    fn fill_in(self, form: &Form) -> String {
        let mut fields = form.fields.clone();
        for (name, value) in &mut fields {
            match name.as_str() {
                "login" => self.user.clone_into(value),
                "password" => "any".clone_into(value),
                "token" => self.token.unwrap_or_default().clone_into(value),
                _ => {}
            }
        }
        fields.extend(form.choices.iter().filter(|(_, value)| value == self.server).cloned());
        let choose = if self.decision == "approve" { "choose" } else { "" };
        for button in [("decision", self.decision), ("decision", choose), ("user", self.user)] {
            if form.buttons.iter().any(|(name, value)| (name.as_str(), value.as_str()) == button) {
                fields.push((button.0.to_owned(), button.1.to_owned()));
            }
        }
        fields.extend(form.buttons.iter().filter(|(name, _)| name == "provider").take(1).cloned());
        super::form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

// === impl Browser ===

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    /// A browser that has been nowhere.
    pub fn new() -> Self {
        Self::of(Caller::default())
    }

    /// A browser that has been nowhere, of one caller.
    pub fn of(caller: Caller) -> Self {
        Self { http: caller.http().cookie_store(true).build().expect("an HTTP client") }
    }

    /// One page, without going further.
    pub async fn open(&self, url: &Url) -> Answer {
        self.get(url).await.expect("an answer")
    }

    /// Submits a form of a page on the same origin, without going further.
    pub async fn submit(&self, url: &Url, fields: &[(&str, &str)]) -> Answer {
        let answer = self.post(url, form(fields.iter().copied()), &url.origin().ascii_serialization()).await;
        answer.expect("an answer")
    }

    /// Submits a form of a page on another site.
    pub async fn submit_from_elsewhere(&self, url: &Url, fields: &[(&str, &str)]) -> Answer {
        let request = self.http.post(url.clone()).body(form(fields.iter().copied()));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Answer::to(request.header("origin", "https://evil.example").header("sec-fetch-site", "cross-site"))
            .await
    }

    /// Goes from page to page until the browser is sent to `redirect_uri`, which it does not call.
    pub async fn visit(&self, start: &Url, redirect_uri: &str, visit: Visit<'_>) -> Callback {
        let callback = self.attempt(start, redirect_uri, visit).await;
        callback.unwrap_or_else(|failure| panic!("the login ends with {failure}"))
    }

    /// The same, where it may fail.
    pub async fn attempt(
        &self,
        start: &Url,
        redirect_uri: &str,
        visit: Visit<'_>,
    ) -> Result<Callback, Failure> {
        let (mut url, mut answer) = (start.clone(), self.get(start).await?);
        for _ in 0..STEPS {
            let page = Page::parse(&answer.body);
            let location = answer.headers.get(LOCATION).map(|value| value.to_str().expect("text").to_owned());
            let join = |reference: &str| url.join(reference).expect("a URL");
            if let Some(next) = location.or(page.leads_to.clone()) {
                url = join(&next);
                if url.as_str().starts_with(redirect_uri) {
                    return Ok(url.query_pairs().into_owned().collect());
                }
                answer = self.get(&url).await?;
            } else if let Some(form) = page.form_of(visit.user).filter(|form| visit.can_fill_in(form)) {
                let origin = origin(&url, &answer);
                url = join(&form.action);
                answer = self.post(&url, visit.fill_in(form), &origin).await?;
            } else if let Some(back) = page.links.iter().find(|link| link.starts_with(redirect_uri)) {
                // A page that says why not.
                return Ok(join(back).query_pairs().into_owned().collect());
            } else {
                break;
            }
        }
        // It goes no further, or in circles.
        Err(Failure::at(&url, answer))
    }

    async fn get(&self, url: &Url) -> reqwest::Result<Answer> {
        Answer::attempt(self.http.get(url.clone())).await
    }

    async fn post(&self, url: &Url, form: String, origin: &str) -> reqwest::Result<Answer> {
        let request = self.http.post(url.clone()).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Answer::attempt(request.header("origin", origin).header("sec-fetch-site", "same-origin")).await
    }
}

/// The Origin header of a form on the page at `url`: browsers say `null` where the page's referrer policy
/// forbids more (Fetch standard, "append a request `Origin` header").
fn origin(url: &Url, page: &Answer) -> String {
    match page.headers.get("referrer-policy") {
        Some(policy) if policy == "no-referrer" => "null".to_owned(),
        _ => url.origin().ascii_serialization(),
    }
}

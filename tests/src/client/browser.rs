//! A browser without a screen: cookies, redirects, forms, and a user who fills them in.

use std::collections::BTreeMap;

use http::header::LOCATION;
use url::Url;

use super::page::{Form, Page};
use super::{Answer, TIMEOUT, form};

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
}

// === impl Visit ===

impl<'a> Visit<'a> {
    /// Approves, and logs in as `user`.
    pub fn approve(user: &'a str) -> Self {
        Self { user, decision: "approve" }
    }

    /// Denies.
    pub fn deny() -> Self {
        Self { user: "", decision: "deny" }
    }

    fn fill_in(self, form: &Form) -> String {
        let mut fields = form.fields.clone();
        for (name, value) in &mut fields {
            match name.as_str() {
                "login" => self.user.clone_into(value),
                "password" => "any".clone_into(value),
                _ => {}
            }
        }
        for button in [("decision", self.decision), ("user", self.user)] {
            if form.buttons.iter().any(|(name, value)| (name.as_str(), value.as_str()) == button) {
                fields.push((button.0.to_owned(), button.1.to_owned()));
            }
        }
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
        let redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().cookie_store(true).redirect(redirects).timeout(TIMEOUT);
        Self { http: http.build().expect("an HTTP client") }
    }

    /// One page, without going further.
    pub async fn open(&self, url: &Url) -> Answer {
        Answer::to(self.http.get(url.clone())).await
    }

    /// Submits a form of a page on the same origin, without going further.
    pub async fn submit(&self, url: &Url, fields: &[(&str, &str)]) -> Answer {
        self.post(url, form(fields.iter().copied()), &url.origin().ascii_serialization()).await
    }

    /// Goes from page to page until the browser is sent to `redirect_uri`, which it does not call.
    pub async fn visit(&self, start: &Url, redirect_uri: &str, visit: Visit<'_>) -> Callback {
        let (mut url, mut answer) = (start.clone(), self.open(start).await);
        for _ in 0..STEPS {
            let page = Page::parse(&answer.body);
            let location = answer.headers.get(LOCATION).map(|value| value.to_str().expect("text").to_owned());
            let join = |reference: &str| url.join(reference).expect("a URL");
            if let Some(next) = location.or(page.leads_to.clone()) {
                url = join(&next);
                if url.as_str().starts_with(redirect_uri) {
                    return url.query_pairs().into_owned().collect();
                }
                answer = self.open(&url).await;
            } else if let Some(form) = page.form_of(visit.user) {
                let origin = origin(&url, &answer);
                url = join(&form.action);
                answer = self.post(&url, visit.fill_in(form), &origin).await;
            } else if let Some(back) = page.links.iter().find(|link| link.starts_with(redirect_uri)) {
                // A page that says why not.
                return join(back).query_pairs().into_owned().collect();
            } else {
                panic!("the login ends at {url} with {}: {}", answer.status, answer.body);
            }
        }
        panic!("the login goes in circles: {url}");
    }

    async fn post(&self, url: &Url, form: String, origin: &str) -> Answer {
        let request = self.http.post(url.clone()).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Answer::to(request.header("origin", origin).header("sec-fetch-site", "same-origin")).await
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

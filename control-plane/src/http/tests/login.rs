//! A login, step by step: what clients and browsers do.

use axum::http::Request;
use axum::http::header;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer::{Answer, Tokens, param};
use super::harness::World;

pub(crate) const REDIRECT: &str = "https://app.example/cb";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A registered client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    pub(crate) method: String,
    pub(crate) redirect: String,
}

/// A browser: all that it has of us is a cookie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser(pub(crate) Option<String>);

/// The consent page in a browser.
pub(crate) struct Page {
    pub(crate) answer: Answer,
    pub(crate) browser: Browser,
    pub(crate) request: String,
    pub(crate) csrf: String,
    pub(crate) shown: String,
}

/// Metadata of a public client.
pub(crate) fn public() -> Value {
    json!({
        "client_name": "Story",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
    })
}

/// Metadata of a client with a secret.
pub(crate) fn confidential(method: &str) -> Value {
    let mut metadata = public();
    metadata["token_endpoint_auth_method"] = method.into();
    metadata
}

pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The pairs of `base`, with those of `changes` in their namesakes' place; an empty value leaves one out.
fn changed<'a>(base: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = base.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| other == name));
    kept.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect()
}

impl World {
    #[track_caller]
    pub(crate) fn client_of(answer: &Answer) -> Client {
        assert_eq!(answer.status, 201, "{answer:#?}");
        let json = answer.json();
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        Client {
            id: text(&json["client_id"]).unwrap(),
            secret: text(&json["client_secret"]),
            method: text(&json["token_endpoint_auth_method"]).unwrap(),
            redirect: text(&json["redirect_uris"][0]).unwrap(),
        }
    }

    pub(crate) async fn register(&self, metadata: Value) -> Client {
        Self::client_of(&self.post("/register", "application/json", metadata.to_string()).await)
    }

    /// Opens the authorization endpoint in a browser.
    pub(crate) async fn open(&self, browser: &Browser, client: &Client, changes: &[(&str, &str)]) -> Answer {
        let good = [
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &client.redirect),
            ("state", "the client's state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let uri = format!("/authorize?{}", query(&changed(&good, changes)));
        self.send(browser.with(Request::get(uri)), "").await
    }

    /// The consent page, in a new browser.
    pub(crate) async fn authorize(&self, client: &Client, changes: &[(&str, &str)]) -> Page {
        self.authorize_in(&Browser::default(), client, changes).await
    }

    pub(crate) async fn authorize_in(
        &self,
        browser: &Browser,
        client: &Client,
        changes: &[(&str, &str)],
    ) -> Page {
        let answer = self.open(browser, client, changes).await;
        assert!(answer.is_page(200), "{answer:#?}");
        let [request, csrf] = ["request", "csrf"].map(|name| answer.hidden(name));
        let shown = answer.hidden_if_any("shown").unwrap_or_default();
        Page { browser: browser.after(&answer), answer, request, csrf, shown }
    }

    /// Sends the consent page's form, as a browser does.
    pub(crate) async fn decide(&self, page: &Page, decision: &str) -> Answer {
        let form = [("request", page.request.as_str()), ("csrf", &page.csrf), ("shown", &page.shown)];
        let form = query(&[&form[..], &[("decision", decision)]].concat());
        let request = Request::post("/consent")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(page.browser.with(request), form).await
    }

    /// Approves; the provider's URL.
    pub(crate) async fn approve(&self, page: &Page) -> Url {
        let answer = self.decide(page, "approve").await;
        assert_eq!(answer.status, 200, "{answer:#?}");
        answer.button()
    }

    /// The provider sends the browser back.
    pub(crate) async fn callback(&self, browser: &Browser, params: &[(&str, &str)]) -> Answer {
        self.send(browser.with(Request::get(format!("/callback?{}", query(params)))), "").await
    }

    /// A whole login: the code that the client gets.
    pub(crate) async fn log_in(&self, client: &Client, changes: &[(&str, &str)]) -> String {
        let page = self.authorize(client, changes).await;
        let state = param(&self.approve(&page).await, "state");
        let answer = self.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await;
        param(&answer.redirect(), "code")
    }

    /// A whole login, and its tokens.
    pub(crate) async fn tokens(&self, client: &Client) -> Tokens {
        let code = self.log_in(client, &[]).await;
        self.redeem(client, &code, &[]).await.tokens()
    }

    pub(crate) async fn redeem(&self, client: &Client, code: &str, changes: &[(&str, &str)]) -> Answer {
        let good = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        self.post_as(client, "/token", &changed(&good, changes)).await
    }

    pub(crate) async fn refresh(&self, client: &Client, token: &str, changes: &[(&str, &str)]) -> Answer {
        let good = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post_as(client, "/token", &changed(&good, changes)).await
    }

    pub(crate) async fn revoke(&self, client: &Client, token: &str) -> Answer {
        self.post_as(client, "/revoke", &[("token", token)]).await
    }

    /// Sends a form, authenticated as the client registered.
    pub(crate) async fn post_as(&self, client: &Client, uri: &str, form: &[(&str, &str)]) -> Answer {
        let mut request =
            Request::post(uri).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut form = form.to_vec();
        let secret = client.secret.as_deref().unwrap_or_default();
        if client.method == "client_secret_basic" {
            request = request.header(header::AUTHORIZATION, basic(&client.id, secret));
        } else {
            form.push(("client_id", &client.id));
        }
        if client.method == "client_secret_post" {
            form.push(("client_secret", secret));
        }
        self.send(request, query(&form)).await
    }
}

/// HTTP Basic. Ids and secrets have no character that would need encoding.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

// === impl Browser ===

impl Browser {
    pub(crate) fn with(&self, request: axum::http::request::Builder) -> axum::http::request::Builder {
        match &self.0 {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    /// The same after an answer that may have set the cookie.
    pub(crate) fn after(&self, answer: &Answer) -> Self {
        match answer.header("set-cookie").split_once(';') {
            Some((cookie, _)) => Self(Some(cookie.to_owned())),
            None => self.clone(),
        }
    }
}

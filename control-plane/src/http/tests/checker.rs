//! Worlds whose server wants a token of the user's own, and what is asked whether such a token is good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::token::{Access, Presented};
use portcullis_proto::v1;
use prost::Message;
use tokio::net::TcpListener;

use super::answer::{Answer, param};
use super::harness::World;
use super::login::{Browser, Client, query};
use crate::config::{CredentialHeader, CredentialMode, UserToken};
use crate::credential::{ComposeError, compose};

/// What the page calls the token.
pub(crate) const LABEL: &str = "GitHub personal access token";
const HELP: &str = "https://github.com/settings/tokens";

/// Every `Authorization` that it has been asked about.
type Asked = Arc<Mutex<Vec<String>>>;

/// Says of tokens that they are good where their text has `good` in it.
pub(crate) struct Checker {
    asked: Asked,
}

/// The page that asks for a token, in a browser.
pub(crate) struct TokenPage {
    pub(crate) answer: Answer,
    pub(crate) browser: Browser,
    pub(crate) id: String,
    pub(crate) csrf: String,
}

// === impl Checker ===

impl Checker {
    /// A world whose only server wants a token, which is asked about here.
    pub(crate) async fn world() -> (World, Self) {
        Self::world_with_quota(20_000).await
    }

    /// The same, where no more than so many logins of each kind can be under way.
    pub(crate) async fn world_with_quota(quota: usize) -> (World, Self) {
        Self::world_that_wants(Arc::new(AtomicBool::new(true)), quota).await
    }

    /// The same, where it is seen at every start whether a token is wanted.
    pub(crate) async fn world_that_wants(wanted: Arc<AtomicBool>, quota: usize) -> (World, Self) {
        let asked = Asked::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/user", listener.local_addr().unwrap());
        let router = Router::new().fallback(check).with_state(asked.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let world = World::with(move |config| {
            config.limits.pending = quota;
            for server in config.servers.values_mut().filter(|_| wanted.load(Ordering::SeqCst)) {
                server.credential = CredentialMode::UserToken(UserToken {
                    label: LABEL.into(),
                    help_url: Some(HELP.parse().unwrap()),
                    check_url: url.parse().unwrap(),
                    header: CredentialHeader::bearer(),
                });
            }
        });
        (world, Self { asked })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn check(State(asked): State<Asked>, headers: HeaderMap) -> Response {
    let token = headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    asked.lock().unwrap().push(token.clone());
    let has = |word| token.contains(word);
    if has("good") {
        (StatusCode::OK, "{}").into_response()
    } else if has("forbidden") {
        StatusCode::FORBIDDEN.into_response()
    } else if has("odd") {
        StatusCode::NOT_FOUND.into_response()
    } else if has("broken") {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    } else if has("elsewhere") {
        (StatusCode::FOUND, [(header::LOCATION, "/good")]).into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

// === impl World ===

impl World {
    /// A login up to the provider's answer, whatever comes of it; in a new browser.
    pub(crate) async fn come_back(&self, client: &Client) -> (Browser, Answer) {
        let page = self.authorize(client, &[]).await;
        let state = param(&self.approve(&page).await, "state");
        let answer = self.callback(&page.browser, &[("state", &state), ("code", "s3cr3t-code")]).await;
        (page.browser, answer)
    }

    /// The page that asks for a token.
    pub(crate) async fn asked_for_token(&self, client: &Client) -> TokenPage {
        let (browser, answer) = self.come_back(client).await;
        assert!(answer.is_page(200), "{answer:#?}");
        TokenPage { id: answer.hidden("id"), csrf: answer.hidden("csrf"), browser, answer }
    }

    /// Sends the page's form, as a browser does.
    pub(crate) async fn give(&self, page: &TokenPage, token: &str) -> Answer {
        let form =
            [("id", page.id.as_str()), ("csrf", &page.csrf), ("token", token), ("decision", "approve")];
        self.send_form("/user-token", &page.browser, Some("same-origin"), &form).await
    }

    /// A form from a page of some site.
    pub(crate) async fn send_form(
        &self,
        uri: &str,
        browser: &Browser,
        site: Option<&str>,
        form: &[(&str, &str)],
    ) -> Answer {
        let mut request =
            Request::post(uri).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        self.send(browser.with(request), query(form)).await
    }

    /// What the MCP server gets for an access token, as only its holder can read it.
    pub(crate) async fn credential(&self, access: &str) -> Result<Vec<v1::Header>, ComposeError> {
        let (token, grant) = self.access_token(access).await.expect("a good token");
        let composed = compose(&self.app, &token, &grant, self.now()).await?;
        let key = SealingKey::of_token(Presented::<Access>::parse(access).unwrap());
        let data_key = key.unwrap_key(&grant.id, Field::DataKeyForToken, &token.wrapped_key).unwrap();
        let credential = data_key.open(&grant.id, Field::Credential, &composed.sealed).unwrap();
        Ok(v1::Credential::decode(credential.as_slice()).unwrap().headers)
    }
}

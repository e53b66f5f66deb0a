//! A provider that says what a test tells it to.

mod keys;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode, Uri, header};
use portcullis_proto::time::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

pub(crate) use keys::{SigningKey, forged};
pub(crate) use keys::{certificate, rsa_key};

use super::{App, AppCredentials, AppIdentity, ClientAuth, Http, Login, ProviderError};
use crate::oauth::admission::{NO_QUESTIONS, Questions};

/// In every secret of these tests, so that none is overlooked where it should not be.
pub(super) const MARK: &str = "s3cr3t";
pub(super) const CLIENT_ID: &str = "portcullis";
pub(super) const NONCE: &str = "n-0S6_WzA2Mj";
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Long enough for a loopback answer on a busy machine.
const PATIENT: Duration = Duration::from_secs(30);

static REDIRECT_URI: LazyLock<Url> =
    LazyLock::new(|| Url::parse("https://portcullis.example/callback").unwrap());

pub(super) fn secret(what: &str) -> SecretString {
    format!("{MARK}-{what}").into()
}

static ACTING: LazyLock<AppCredentials> = LazyLock::new(|| credentials(ClientAuth::Basic(secret("client"))));

pub(super) fn credentials(auth: ClientAuth) -> AppCredentials {
    AppCredentials { client_id: CLIENT_ID.into(), auth }
}

/// The app of most tests, acting.
pub(super) fn acting() -> &'static AppCredentials {
    &ACTING
}

/// An app, acting.
#[track_caller]
pub(super) fn acting_as(app: &App) -> AppCredentials {
    match &app.identity {
        AppIdentity::Fixed(credentials) => credentials.clone(),
        AppIdentity::Dynamic(_) => panic!("it has no credentials"),
    }
}

pub(super) fn app() -> App {
    App {
        identity: AppIdentity::Fixed(acting().clone()),
        scopes: vec!["openid".into(), "email".into()],
        authorize_parameters: Vec::new(),
    }
}

pub(super) fn login() -> Login<'static> {
    Login {
        acting: acting(),
        redirect_uri: &REDIRECT_URI,
        state: "af0ifjsldkj",
        nonce: NONCE,
        verifier: "s3cr3t-verifier-dBjftJeZ4CVP-mB92K27uhbUJU1p1r",
        scopes: &[],
        questions: &NO_QUESTIONS,
    }
}

/// Asks about the e-mail address, these claims and these organizations.
pub(super) fn questions(claims: &[&str], organizations: &[&str]) -> Questions {
    let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Questions { email: true, claims: texts(claims), organizations: texts(organizations) }
}

pub(super) fn http() -> Http {
    Http::with_deadline(PATIENT).unwrap()
}

/// What a token endpoint answers to a code or refresh token when all is well.
pub(super) fn token_answer() -> Value {
    json!({
        "access_token": "s3cr3t-access",
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": "s3cr3t-refresh",
        "scope": "openid email",
    })
}

/// What an ID token of this issuer says when all is well.
pub(super) fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer,
        "sub": "248289761001",
        "aud": CLIENT_ID,
        "exp": NOW.as_secs() + 300,
        "iat": NOW.as_secs(),
        "nonce": NONCE,
        "email": "jane@example.com",
    })
}

/// A URL's parameters. None comes twice.
#[track_caller]
pub(super) fn query(url: &Url) -> HashMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a parameter comes twice: {url}");
    map
}

/// The error, which shows no secret.
#[track_caller]
pub(super) fn error_of<T>(result: Result<T, ProviderError>) -> ProviderError {
    let Err(error) = result else { panic!("an error was expected") };
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(MARK), "{shown}");
    error
}

/// Moves tokio's clock. It is not left paused: a paused clock jumps ahead while a socket is waited for.
pub(super) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

// === the provider ===

/// A provider on a loopback port. What it has no reply for is 404.
pub(super) struct FakeProvider {
    pub(super) issuer: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    replies: HashMap<String, Reply>,
    requests: Vec<Request>,
}

#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) location: Option<&'static str>,
    pub(super) retry_after: Option<&'static str>,
    pub(super) rate_limit_remaining: Option<&'static str>,
    pub(super) body: Vec<u8>,
    /// Never answers.
    pub(super) hangs: bool,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) form: HashMap<String, String>,
    /// The body, where it is JSON.
    pub(super) json: Value,
}

impl FakeProvider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Mutex<Shared>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, shared }
    }

    pub(super) fn url(&self, path: &str) -> Url {
        Url::parse(&self.issuer).unwrap().join(path).unwrap()
    }

    pub(super) fn reply(&self, path: &str, reply: impl Into<Reply>) {
        self.shared.lock().unwrap().replies.insert(path.into(), reply.into());
    }

    /// What the issuer at this path says of itself, with members changed.
    pub(super) fn discover(&self, path: &str, changes: &Value) {
        let mut document = json!({
            "issuer": format!("{}{path}", self.issuer),
            "authorization_endpoint": self.url("/authorize"),
            "token_endpoint": self.url("/token"),
            "jwks_uri": self.url("/jwks"),
            "userinfo_endpoint": self.url("/userinfo"),
            "response_types_supported": ["code"],
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.reply(&format!("{}/.well-known/openid-configuration", path.trim_end_matches('/')), document);
    }

    /// Lets the token endpoint answer with this ID token.
    pub(super) fn answer_with(&self, id_token: &str) {
        let mut answer = token_answer();
        answer["id_token"] = id_token.into();
        self.reply("/token", answer);
    }

    pub(super) fn requests(&self, path: &str) -> Vec<Request> {
        let shared = self.shared.lock().unwrap();
        shared.requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    /// The only request to this path.
    #[track_caller]
    pub(super) fn request(&self, path: &str) -> Request {
        let mut requests = self.requests(path);
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    uri: Uri,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> impl IntoResponse {
    let path = uri.path().to_owned();
    let form = url::form_urlencoded::parse(&body).into_owned().collect();
    let json = serde_json::from_slice(&body).unwrap_or_default();
    let reply = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(Request { path: path.clone(), headers, form, json });
        shared.replies.get(&path).cloned()
    };
    let reply = reply.unwrap_or_else(|| Reply::status(404, "not here"));
    if reply.hangs {
        std::future::pending::<()>().await;
    }
    let mut answer = (reply.status, [(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response();
    if let Some(location) = reply.location {
        answer.headers_mut().insert(header::LOCATION, location.parse().unwrap());
    }
    if let Some(retry_after) = reply.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, retry_after.parse().unwrap());
    }
    if let Some(remaining) = reply.rate_limit_remaining {
        answer.headers_mut().insert("x-ratelimit-remaining", remaining.parse().unwrap());
    }
    answer
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self { content_type: "application/json", ..Self::status(200, &value.to_string()) }
    }
}

impl Reply {
    pub(super) fn status(status: u16, body: &str) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            content_type: "text/html",
            location: None,
            retry_after: None,
            rate_limit_remaining: None,
            body: body.into(),
            hangs: false,
        }
    }

    pub(super) fn error(status: u16, value: Value) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), ..value.into() }
    }
}

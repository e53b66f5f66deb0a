//! How many tokens, registrations and consent pages the control plane gives, beside how many operations of like size
//! its disk makes durable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use portcullis_tests::client::{Client, Tokens};
use portcullis_tests::stack::{Part, Stack};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::group_commit::{GroupCommit, REFRESH, ROW};
use crate::load::{self, Answers, Caller, micros};
use crate::usage::Family;

/// Where the edge says which issuer is meant: it is asked without the edge here.
const ORIGIN: &str = "x-portcullis-origin";
/// Logins at the same time, before anything is measured.
const LOGINS: usize = 4;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Connections, each with a chain of refresh tokens of its own; also the writers of the bare store.
    pub connections: usize,
    /// Rounds.
    pub rounds: usize,
    /// The length of each load in each round.
    pub time: Duration,
}

/// What one round said of one kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Answers a second.
    pub rate: f64,
    /// Half of them took no longer, in microseconds.
    pub p50: f64,
    /// 99 % of them took no longer, in microseconds.
    pub p99: f64,
    /// CPU time of the control plane for a request, in microseconds.
    pub cpu: f64,
}

/// The bare store, with one row an operation.
pub const BARE_ROW: &str = "bare sled, one row of 400 bytes";
/// The bare store, with operations as a refresh is one.
pub const BARE: &str = "bare sled, what a refresh writes";
/// The refresh itself.
pub const REFRESHES: &str = "POST /token, refresh_token";
const REGISTRATIONS: &str = "POST /register";
const PAGES: &str = "GET /authorize";

/// Starts a stack, logs in, and measures each kind in turn.
pub async fn measure(extent: Extent) -> Vec<(&'static str, Vec<Sample>)> {
    let stack = Stack::builder().configure(|config, _| {
        config["limits"] = json!({ "unused_clients": 10_000_000 });
    });
    let stack = stack.start().await;
    let client = Arc::new(Client::register(stack.url(), "Bench").await);
    let tokens = log_in(&client, extent.connections).await;
    let control_plane = Family::of(stack.id(Part::ControlPlane).unwrap());
    let (http, origin) = (stack.addresses().http, Arc::<str>::from(stack.origin()));
    let bare = [REFRESH, ROW].map(|rows| GroupCommit::start(&stack.directory().join("bare"), rows));
    let mut chains: Vec<_> = tokens
        .into_iter()
        .map(|tokens| Chain { client: client.clone(), origin: origin.clone(), token: tokens.refresh_token })
        .collect();

    let mut measured: Vec<(&str, Vec<Sample>)> =
        [BARE_ROW, BARE, REFRESHES, REGISTRATIONS, PAGES].map(|name| (name, Vec::new())).into();
    for round in 0..=extent.rounds {
        for (name, samples) in &mut measured {
            let before = control_plane.cpu();
            let answers = match *name {
                BARE => bare[0].run(extent.connections, extent.time).await,
                BARE_ROW => bare[1].run(extent.connections, extent.time).await,
                REFRESHES => {
                    let answers;
                    (chains, answers) = load::converse(http, chains, StatusCode::OK, extent.time).await;
                    answers
                }
                REGISTRATIONS => {
                    let callers = vec![Registrations(origin.clone()); extent.connections];
                    load::converse(http, callers, StatusCode::CREATED, extent.time).await.1
                }
                _ => {
                    let callers = vec![Pages(origin.clone(), client.clone()); extent.connections];
                    load::converse(http, callers, StatusCode::OK, extent.time).await.1
                }
            };
            let sample = Sample::of(&answers, control_plane.cpu().saturating_sub(before));
            eprintln!("round {round}: {name}: {sample:.1?}");
            if round > 0 {
                samples.push(sample); // the first warms up
            }
        }
    }
    measured
}

async fn log_in(client: &Arc<Client>, times: usize) -> Vec<Tokens> {
    let room = Arc::new(Semaphore::new(LOGINS));
    let mut logins = JoinSet::new();
    for _ in 0..times {
        let (client, room) = (client.clone(), room.clone());
        logins.spawn(async move {
            let _place = room.acquire().await;
            client.login("ada").await
        });
    }
    logins.join_all().await
}

/// One refresh token after the other.
struct Chain {
    client: Arc<Client>,
    origin: Arc<str>,
    token: String,
}

#[derive(Clone)]
struct Registrations(Arc<str>);

#[derive(Clone)]
struct Pages(Arc<str>, Arc<Client>);

// === impl Chain ===

impl Caller for Chain {
    fn ask(&mut self) -> Request<Full<Bytes>> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &self.token),
            ("client_id", &self.client.client_id),
            ("resource", &self.client.resource),
        ];
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        post("/token", &self.origin, "application/x-www-form-urlencoded", form)
    }

    fn hear(&mut self, answer: &Bytes) {
        let token = serde_json::from_slice::<Tokens>(answer).unwrap().refresh_token;
        // Whoever is too fast gets the last answer once more, which costs no write.
        assert_ne!(token, self.token, "nothing was refreshed");
        self.token = token;
    }
}

impl Caller for Registrations {
    fn ask(&mut self) -> Request<Full<Bytes>> {
        let metadata: Value = json!({
            "client_name": "Bench",
            "redirect_uris": ["http://127.0.0.1:33418/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        post("/register", &self.0, "application/json", metadata.to_string())
    }

    fn hear(&mut self, _: &Bytes) {}
}

impl Caller for Pages {
    fn ask(&mut self) -> Request<Full<Bytes>> {
        let url = self.1.authorization().url;
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        Request::get(path).header("host", "localhost").header(ORIGIN, &*self.0).body(Full::default()).unwrap()
    }

    fn hear(&mut self, _: &Bytes) {}
}

fn post(path: &str, origin: &str, content_type: &str, body: String) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("host", "localhost")
        .header(ORIGIN, origin)
        .header("content-type", content_type)
        .body(Full::from(body))
        .unwrap()
}

// === impl Sample ===

impl Sample {
    fn of(answers: &Answers, cpu: Duration) -> Self {
        Self {
            rate: answers.rate(),
            p50: answers.percentile(50.0),
            p99: answers.percentile(99.0),
            cpu: micros(cpu) / answers.latencies.len() as f64,
        }
    }
}

//! A control plane, and those who talk to it: clients, browsers, the provider.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{Request, header};
use portcullis_proto::ids::{ProviderName, Sequence};
use portcullis_proto::random::Random;
use portcullis_proto::time::{Clock, ManualClock, Timestamp};
use portcullis_proto::token::{Access, Presented};
use tempfile::TempDir;
use tower::ServiceExt;

use super::answer::Answer;
use super::provider::Scripted;
use super::web::ScriptedWeb;
use crate::app::{App, Parts};
use crate::config::{self, Config};
use crate::http::router::router;
use crate::keys::MasterKeys;
use crate::oauth::grant::{AccessToken, Grant};
use crate::provider::{Http, Provider};
use crate::start::{LostSigningKeys, open_signer};
use crate::store::Store;
use crate::store::sled::SledStore;

/// The issuer of most tests.
pub(crate) const ISSUER: &str = "http://localhost:10000";
/// Its only MCP server.
pub(crate) const DEMO: &str = "http://localhost:10000/demo/mcp";

const HOUR: Duration = Duration::from_hours(1);

/// See the module.
pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) provider: Arc<Scripted>,
    pub(crate) web: Arc<ScriptedWeb>,
    pub(crate) random: Arc<Repeatable>,
    /// Sent with every request, whoever makes it.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// Everything that anybody was answered.
    pub(crate) transcript: Mutex<Vec<String>>,
    router: Router,
    setup: Setup,
    directory: TempDir,
}

/// What a world is made of.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Names and URLs of the MCP servers.
    pub(crate) servers: Vec<(&'static str, &'static str)>,
    /// What differs from the configuration's defaults.
    pub(crate) adjust: Arc<dyn Fn(&mut Config) + Send + Sync>,
    /// How long an access token lives.
    pub(crate) access_token: Duration,
}

/// Bytes that look random, and are the same in every run.
#[derive(Default)]
pub(crate) struct Repeatable {
    drawn: AtomicU64,
    /// Stands for whatever may panic.
    pub(crate) panics: AtomicBool,
}

// === impl World ===

impl World {
    /// One server, all defaults.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// One server, with other limits or lifetimes.
    pub(crate) fn with(adjust: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        Self::of(Setup { servers: vec![("demo", DEMO)], adjust: Arc::new(adjust), access_token: HOUR })
    }

    /// One server, whose access tokens live for a day.
    pub(crate) fn with_long_tokens(adjust: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        let access_token = Duration::from_hours(24);
        Self::of(Setup { servers: vec![("demo", DEMO)], adjust: Arc::new(adjust), access_token })
    }

    /// Other servers.
    pub(crate) fn serving(servers: &[(&'static str, &'static str)]) -> Self {
        Self::serving_with(servers, |_| {})
    }

    /// Other servers, with another configuration.
    pub(crate) fn serving_with(
        servers: &[(&'static str, &'static str)],
        adjust: impl Fn(&mut Config) + Send + Sync + 'static,
    ) -> Self {
        Self::of(Setup { servers: servers.to_vec(), adjust: Arc::new(adjust), access_token: HOUR })
    }

    fn of(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let (provider, random) = (Arc::<Scripted>::default(), Arc::<Repeatable>::default());
        let web = Arc::<ScriptedWeb>::default();
        let app = start(&setup, directory.path(), &clock, &provider, &web, &random);
        let (headers, transcript, router) = (Vec::new(), Mutex::default(), router(app.clone()));
        Self { app, clock, provider, web, random, headers, transcript, router, setup, directory }
    }

    /// The same after the process has ended and begun again.
    pub(crate) fn restart(self) -> Self {
        let Self { app, clock, provider, web, random, headers, transcript, router: old, setup, directory } =
            self;
        drop((app, old));
        let app = start(&setup, directory.path(), &clock, &provider, &web, &random);
        let router = router(app.clone());
        Self { app, clock, provider, web, random, headers, transcript, router, setup, directory }
    }

    /// What is in the files of its store once the process has ended.
    pub(crate) fn ended(self) -> String {
        let Self { app, router, directory, .. } = self;
        drop((app, router));
        let mut bytes = Vec::new();
        let mut directories = vec![directory.path().join("store")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    bytes.extend(fs::read(path).unwrap());
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The same with another configuration.
    pub(crate) fn restart_with(mut self, adjust: fn(&mut Config)) -> Self {
        self.setup.adjust = Arc::new(adjust);
        self.restart()
    }

    /// Another process over the same store, with a provider that says what it is told to.
    pub(crate) fn replica(&self, provider: &Arc<Scripted>) -> Arc<App> {
        self.replica_with(provider, |_| {})
    }

    /// The same with another configuration.
    pub(crate) fn replica_with(&self, provider: &Arc<Scripted>, adjust: fn(&mut Config)) -> Arc<App> {
        let (before, store) = (self.setup.adjust.clone(), self.app.store.clone());
        let both = move |config: &mut Config| {
            before(config);
            adjust(config);
        };
        let setup = Setup { adjust: Arc::new(both), ..self.setup.clone() };
        assemble(&setup, self.directory.path(), store, &self.clock, provider, &self.web, &self.random)
    }

    pub(crate) async fn send(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let mut request: Request<Body> = request.body(body.into()).unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
        self.transcript.lock().unwrap().push(format!("{answer:#?}"));
        answer
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri), "").await
    }

    pub(crate) async fn post(&self, uri: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::post(uri).header(header::CONTENT_TYPE, content_type), body).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the store has of an access token, where that is good.
    pub(crate) async fn access_token(&self, text: &str) -> Option<(AccessToken, Grant)> {
        let id = Presented::<Access>::parse(text).unwrap().id();
        self.app.store.access_token(&id, self.now()).await.unwrap()
    }

    /// How many revocations there have been.
    pub(crate) fn revocations(&self) -> u64 {
        let Sequence(count) = self.app.store.head().borrow().sequence;
        count
    }

    /// What `/metrics` says of a counter, with its labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (text, name) = (self.app.metrics.encode(), format!("portcullis_{name} "));
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |value| value.parse().unwrap())
    }

    /// How often a limit was reached.
    pub(crate) fn reached(&self, limit: &str) -> u64 {
        self.metric(&format!("limits_reached_total{{limit=\"{limit}\"}}"))
    }

    /// How many rows the store has. It has none afterwards.
    pub(crate) async fn count_rows(&self) -> usize {
        let end_of_time = Timestamp::from_millis(u64::MAX);
        self.app.store.sweep(end_of_time, 1000).await.unwrap()
    }
}

fn start(
    setup: &Setup,
    directory: &Path,
    clock: &Arc<ManualClock>,
    provider: &Arc<Scripted>,
    web: &Arc<ScriptedWeb>,
    random: &Arc<Repeatable>,
) -> Arc<App> {
    let store = Arc::new(SledStore::open(&directory.join("store"), random.as_ref()).unwrap());
    assemble(setup, directory, store, clock, provider, web, random)
}

fn assemble(
    setup: &Setup,
    directory: &Path,
    store: Arc<dyn Store>,
    clock: &Arc<ManualClock>,
    provider: &Arc<Scripted>,
    web: &Arc<ScriptedWeb>,
    random: &Arc<Repeatable>,
) -> Arc<App> {
    let mut config = configuration(&setup.servers, directory);
    config.keys = directory.join("keys");
    config.lifetimes.access_token = setup.access_token;
    (setup.adjust)(&mut config);
    let corp = ProviderName::new("corp");
    // Others are there where a test configures them, and as they come.
    let connect = |name: &ProviderName| -> Arc<dyn Provider> {
        if *name == corp { provider.clone() } else { Arc::<Scripted>::default() }
    };
    let providers = config.providers.keys().map(|name| (name.clone(), connect(name))).collect();
    let keys = MasterKeys::open(&directory.join("keys"), random.as_ref(), clock.now()).unwrap();
    App::new(Parts {
        identity: None,
        store,
        signer: open_signer(&config, &keys, clock.as_ref(), LostSigningKeys::Missed).unwrap(),
        keys,
        providers,
        http: Http::new().unwrap(),
        web: web.clone(),
        clock: clock.clone(),
        random: random.clone(),
        config,
    })
}

fn configuration(servers: &[(&str, &str)], directory: &Path) -> Config {
    let mut text = String::from(
        "providers:\n  corp:\n    { kind: oidc, issuer: https://idp.example.com, client_id: portcullis, \
         client_secret: { value: s3cr3t-client }, scopes: [openid, email] }\n",
    );
    if servers.iter().any(|(_, url)| url.starts_with("https")) {
        text.push_str("edge: { tls: { certificate: chain.pem, private_key: key.pem } }\n");
    }
    text.push_str("servers:\n");
    for (name, url) in servers {
        let server =
            format!("  {name}: {{ url: '{url}', upstream: 'http://127.0.0.1:9/', provider: corp }}\n");
        text.push_str(&server);
    }
    config::parse(&text, &directory.join("portcullis.yaml"), &|_| None).unwrap()
}

// === impl Repeatable ===

impl Random for Repeatable {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(!self.panics.load(Ordering::SeqCst), "told to panic");
        for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let drawn = self.drawn.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            chunk.copy_from_slice(&digest::digest(&digest::SHA256, &drawn).as_ref()[..chunk.len()]);
        }
    }
}

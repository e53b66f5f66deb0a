//! Portcullis as it is shipped, whose authz has as many records as are wanted.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portcullis_authz::replica::store::Store;
use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::time::{Clock, SystemClock};
use portcullis_proto::token::{Access, Token};
use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::watch_request::Message as Outgoing;
use portcullis_proto::v1::watch_response::Message as Incoming;
use portcullis_tests::process::Running;
use portcullis_tests::programs::{Place, free_addresses};
use prost::Message;
use serde_json::json;
use tokio::time::sleep;

use crate::START;

/// How long the records are good: longer than any measurement takes.
const LIFE: Duration = Duration::from_hours(24);

/// Records that wait to be written, at most.
const MAX_QUEUED: usize = 500;

/// Both services, running.
#[derive(Debug)]
pub struct Portcullis {
    /// The control plane.
    pub control_plane: Running,
    /// The one instance.
    pub authz: Running,
    /// Where Envoy asks it.
    pub listen: SocketAddr,
    /// Access tokens, each of which it knows.
    pub tokens: Vec<String>,
}

// === impl Portcullis ===

impl Portcullis {
    /// Starts both, with `records` tokens that authz need not ask about.
    pub async fn start(place: &Place, records: usize) -> Self {
        let [http, grpc, ops, listen, authz_ops] = free_addresses().unwrap();
        let mut control_plane = control_plane(place, http, grpc, ops);
        control_plane.ready(START).await.unwrap();
        let revision = credential_revision(grpc).await;
        let settings = |settings: &mut serde_json::Value| {
            settings["max_records"] = json!(records + 100_000);
        };
        let program = place.authz("authz", listen, authz_ops, &format!("http://{grpc}"), settings);
        let program = program.unwrap().unwrap();
        // Its first start gives it a place in the log, without which its records would be of no use.
        let mut first = program.start().unwrap();
        first.ready(START).await.unwrap();
        first.stop(START).await;
        let tokens = fill(&place.directory.join("data/authz"), records, revision).await;
        let mut authz = program.start().unwrap();
        authz.ready(START).await.unwrap();
        Self { control_plane, authz, listen, tokens }
    }
}

pub(crate) fn control_plane(place: &Place, http: SocketAddr, grpc: SocketAddr, ops: SocketAddr) -> Running {
    let nowhere = "https://idp.example.com";
    let config = json!({
        "listen": { "http": http, "grpc": grpc, "ops": ops },
        "store": { "sled": { "path": place.directory.join("data/control-plane") } },
        "keys": { "path": place.directory.join("data/keys") },
        "edge": { "listen": "127.0.0.1:10000", "authz": ["127.0.0.1:9191"] },
        "providers": { "corp": {
            "kind": "oauth2",
            "authorization_endpoint": format!("{nowhere}/authorize"),
            "token_endpoint": format!("{nowhere}/token"),
            "userinfo": { "url": format!("{nowhere}/userinfo"), "subject": "sub" },
            "client_id": "portcullis",
            "client_secret": { "value": "bench" },
        } },
        "servers": { "demo": {
            "url": "http://localhost:10000/demo/mcp",
            "upstream": "http://127.0.0.1:9000/mcp",
            "provider": "corp",
            "scopes": ["openid", "email"],
        } },
    });
    let file = place.directory.join("portcullis.yaml");
    std::fs::write(&file, format!("{config:#}\n")).unwrap();
    place.control_plane(&file.to_string_lossy(), ops).unwrap().start().unwrap()
}

/// What records' credentials must say that they were made by.
async fn credential_revision(grpc: SocketAddr) -> u64 {
    let hello = v1::Hello { instance: "bench".to_owned(), position: None, max_staleness_ms: 60_000 };
    let hello = v1::WatchRequest { message: Some(Outgoing::Hello(hello)) };
    let requests = tokio_stream::iter([hello]);
    let mut client = ReplicaClient::connect(format!("http://{grpc}")).await.unwrap();
    let mut responses = client.watch(requests).await.unwrap().into_inner();
    loop {
        if let Some(Incoming::Catalog(catalog)) = responses.message().await.unwrap().unwrap().message {
            return catalog.servers[0].credential_revision;
        }
    }
}

/// Puts records into the store of an instance that is stopped, and gives their tokens.
async fn fill(directory: &Path, records: usize, revision: u64) -> Vec<String> {
    let (store, loaded) = Store::open(directory, records + 100_000).unwrap();
    let (generation, position) = loaded.position.unwrap();
    let mut tokens = Vec::with_capacity(records);
    for number in 0..records {
        // What the queue has no room for is dropped, as an instance can ask again.
        while number > store.len() + MAX_QUEUED {
            sleep(Duration::from_micros(200)).await;
        }
        let token = Token::generate(&SystemRandom);
        store.put(generation, record(number, &token, position.sequence, revision));
        tokens.push(token.expose().to_owned());
    }
    while store.len() < records {
        sleep(Duration::from_millis(1)).await;
    }
    store.close().await;
    tokens
}

/// The record of a token, as a login at a provider with opaque tokens makes it.
pub fn record(number: usize, token: &Token<Access>, born: Sequence, revision: u64) -> TokenRecord {
    let (random, grant) = (&SystemRandom, GrantId::generate(&SystemRandom));
    let (token_key, data_key) = (SealingKey::of_token(token.as_presented()), SealingKey::generate(random));
    let authorization = format!("Bearer ya29.{number:0100}");
    let header = v1::Header { name: "authorization".to_owned(), value: authorization };
    let credential = v1::Credential { headers: vec![header] }.encode_to_vec();
    let now = SystemClock.now();
    TokenRecord {
        token: token.id(),
        client: ClientId::new("0123456789abcdefghijkl"),
        provider: ProviderName::new("corp"),
        subject: Subject::new(format!("subject-{number:016}")),
        email: Some(format!("user-{number}@example.com").into()),
        server: ServerName::new("demo"),
        scopes: vec!["openid".into(), "email".into()],
        issued_at: now,
        expires_at: now.after(LIFE),
        born,
        wrapped_key: token_key.wrap(random, &grant, Field::DataKeyForToken, &data_key),
        credential: data_key.seal(random, &grant, Field::Credential, &credential),
        credential_expires_at: None,
        credential_revision: revision,
        grant,
    }
}

//! A store that cannot be read while the service runs.

use std::collections::HashMap;
use std::fs::{self, File};

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::ManualClock;
use portcullis_proto::token::{Access, Token};
use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use prost::Message;
use tempfile::TempDir;
use tonic::transport::Endpoint;

use super::super::resolve::Resolver;
use super::*;
use crate::check::Checker;
use crate::testing::{record, seal, server};

/// The HTTP status of the answer to a request with this token; 200 where the request goes on.
async fn check(checker: &Checker, token: &Token<Access>) -> i32 {
    let headers = HashMap::from([("authorization".to_owned(), format!("Bearer {}", token.expose()))]);
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(HttpRequest { headers, ..Default::default() }),
                ..Default::default()
            }),
            context_extensions: HashMap::from([("server".to_owned(), "demo".to_owned())]),
            ..Default::default()
        }),
    };
    let request = Message::decode(request.encode_to_vec().as_slice()).unwrap();
    let response = CheckResponse::decode(checker.check(&request).await.as_bytes()).unwrap();
    let code = response.status.unwrap().code;
    match response.http_response.unwrap() {
        HttpResponse::OkResponse(_) => 200,
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(code, 0, "to Envoy that is a yes");
            denied.status.unwrap().code
        }
        other @ HttpResponse::ErrorResponse(_) => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn t34_a_record_that_cannot_be_read_lets_nobody_in_and_is_logged() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let file = Arc::new(File::create(&log).unwrap());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(file).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let errors = || {
        let log = fs::read_to_string(&log).unwrap();
        log.lines().filter(|line| line.contains("ERROR")).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let (store, loaded) = Store::open(directory.path(), 1000).unwrap();
    let replica = Arc::new(Replica::new(store, &loaded, Duration::from_hours(1), &SystemRandom));
    let position = Position::start(Epoch([1; 16]));
    replica.start_over(position, &SystemRandom).await.unwrap();
    let server = server();
    let demo = v1::CatalogServer {
        name: server.name.to_string(),
        required_scopes: server.required_scopes,
        ..Default::default()
    };
    replica.set_catalog(v1::Catalog { servers: vec![demo] }.into());
    let token = Token::generate(&SystemRandom);
    let record = TokenRecord { born: position.sequence, ..seal(record(), &token, &[("x-key", "s3cr3t")]) };
    let now = record.issued_at;
    replica.heartbeat(position.sequence, moment(now), None);
    replica.learn(replica.question(), record);
    let nobodys = Generation::generate(&SystemRandom);
    replica.store.sweep(nobodys, store::Sweep::Entries, now, None).await.unwrap(); // it is behind the record
    let client = ReplicaClient::new(Endpoint::from_static("http://127.0.0.1:1").connect_lazy());
    let resolver = Arc::new(Resolver::new(client, replica.clone(), Arc::default()));
    let checker = Checker::new(replica.clone(), resolver, Arc::new(ManualClock::at(now)), Arc::default());

    replica.cool();
    assert_eq!(check(&checker, &token).await, 200, "it is read from the store");
    replica.cool();
    replica.store.fail_reads(true);
    assert_eq!(replica.resident(token.id()).unwrap_err(), Outage::Store);
    for _ in 0..100 {
        assert_eq!(check(&checker, &token).await, 503);
    }
    let [line] = &errors()[..] else { panic!("{:?}", errors()) };
    assert!(line.contains("a record cannot be read") && line.contains("injected"), "{line}");
    assert!(!line.contains(token.expose()) && !line.contains("s3cr3t"), "{line}");
    replica.store.fail_reads(false);
    assert_eq!(check(&checker, &token).await, 200);
    assert_eq!(errors().len(), 1);
}

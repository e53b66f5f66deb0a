use std::time::Duration;

use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::ids::{Epoch, ServerName};
use portcullis_proto::revocation::Position;
use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::instance::Instance;
use crate::plane::{Plane, pass_until, until};

#[tokio::test]
async fn an_instance_with_nothing_gets_everything() {
    let plane = Plane::with_a_token().await;
    let base = plane.head();
    let (one, two) = (plane.append("one").await, plane.append("two").await);
    let mut instance = Instance::connect(plane.replica().await, "authz-1", None).await;
    assert_eq!(instance.start_over().await, base);
    let catalog = instance.catalog().await;
    assert_eq!(
        catalog.servers[0],
        v1::CatalogServer {
            name: "docs".into(),
            resource: "http://localhost:10000/docs/mcp".into(),
            resource_metadata: "http://localhost:10000/.well-known/oauth-protected-resource/docs/mcp".into(),
            scopes: vec!["openid".into(), "email".into()],
            required_scopes: vec!["email".into()],
            credential_revision: plane.revision("docs"),
            passthrough: Vec::new(),
            credential_headers: Vec::new(),
            withheld_identity: Vec::new(),
        }
    );
    assert_eq!(catalog.servers.len(), 2);
    assert_eq!(instance.entries().await, [one, two]);
    assert_eq!(instance.heartbeat().await, plane.head());
}

#[tokio::test]
async fn an_instance_hears_which_identity_headers_a_server_does_not_get() {
    let plane = Plane::configured(|config| {
        let docs = config.servers.get_mut(&ServerName::new("docs")).unwrap();
        docs.identity = vec![
            IdentityHeader::Scopes,
            IdentityHeader::Subject,
            IdentityHeader::Client,
            IdentityHeader::Server,
        ];
    })
    .await;
    let mut instance = Instance::connect(plane.replica().await, "authz-1", Some(plane.head())).await;
    let withheld = instance.catalog().await.servers[0].withheld_identity.clone();
    assert_eq!(withheld, ["email", "provider", "grant"]);
}

#[tokio::test]
async fn a_probe_is_answered_at_once_with_the_head_the_probe_and_the_time() {
    let plane = Plane::with_a_token().await;
    let mut instance = Instance::connect(plane.replica().await, "authz-1", Some(plane.head())).await;
    instance.catalog().await;
    let began = Instant::now();
    for at_ms in [0, 5, u64::MAX] {
        let head = Some(plane.head().into());
        let expected = v1::Heartbeat { head, probe_at_ms: at_ms, now_ms: plane.app.now().as_millis() };
        assert_eq!(instance.probe(at_ms).await, expected);
        plane.clock.advance(Duration::from_secs(1));
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

/// It would go on deciding for longer than a revocation names it.
#[tokio::test]
async fn t20_an_instance_that_would_decide_for_too_long_is_refused() {
    let plane = Plane::with_a_token().await;
    for (max_staleness_ms, refused) in [(3_600_000, false), (3_600_001, true), (u64::MAX, true)] {
        let mut instance = Instance::open(plane.replica().await).await;
        instance.hello_with("authz-1", Some(plane.head().into()), max_staleness_ms).await;
        if refused {
            assert_eq!(instance.end().await.code(), Code::InvalidArgument);
        } else {
            instance.catalog().await;
        }
    }
}

#[tokio::test]
async fn a_known_position_gets_only_what_follows() {
    let plane = Plane::with_a_token().await;
    let start = plane.head();
    let one = plane.append("one").await;
    let two = plane.append("two").await;
    let after_one = start.after(&one).unwrap();
    let mut instance = Instance::connect(plane.replica().await, "authz-1", Some(after_one)).await;
    instance.catalog().await;
    assert_eq!(instance.entries().await, [two]);

    let mut current = Instance::connect(plane.replica().await, "authz-2", Some(plane.head())).await;
    current.catalog().await;
    assert_eq!(current.heartbeat().await, plane.head());
}

#[tokio::test]
async fn t32_a_position_that_this_log_never_had_means_start_over() {
    let plane = Plane::with_a_token().await;
    let base = plane.head();
    plane.append("one").await;
    let head = plane.head();
    let foreign = Position { epoch: Epoch([9; 16]), ..head };
    let forked = Position { digest: [9; 32], ..head };
    let ahead = Position { sequence: head.sequence.next(), ..head };
    for position in [foreign, forked, ahead] {
        let mut instance = Instance::connect(plane.replica().await, "authz-1", Some(position)).await;
        assert_eq!(instance.start_over().await, base);
        instance.catalog().await;
        assert_eq!(instance.entries().await.len(), 1);
    }
}

#[tokio::test]
async fn a_forgotten_position_means_start_over_from_what_is_left() {
    let plane = Plane::with_a_token().await;
    let start = plane.head();
    plane.append("one").await;
    plane.clock.advance(Duration::from_hours(2));
    plane.app.store.sweep(plane.app.now(), 100).await.unwrap();
    let mut instance = Instance::connect(plane.replica().await, "authz-1", Some(start)).await;
    assert_eq!(instance.start_over().await, plane.head());
    instance.catalog().await;
    assert_eq!(instance.heartbeat().await, plane.head());
}

#[tokio::test]
async fn entries_come_as_they_happen() {
    let plane = Plane::with_a_token().await;
    let mut position = plane.head();
    let mut instance = Instance::connect(plane.replica().await, "authz-1", Some(position)).await;
    instance.catalog().await;
    let began = Instant::now();
    for client in ["one", "two", "three", "four", "five"] {
        let entry = plane.append(client).await;
        assert_eq!(instance.entries().await, std::slice::from_ref(&entry));
        position = position.after(&entry).unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(3), "they came with the heartbeats");
    assert_eq!(instance.heartbeat().await, position);
}

#[tokio::test]
async fn an_instance_that_goes_away_is_forgotten() {
    let plane = Plane::start().await;
    let mut gone = Instance::connect(plane.replica().await, "gone", None).await;
    let mut closed = Instance::connect(plane.replica().await, "closed", None).await;
    gone.start_over().await;
    closed.start_over().await;
    until(|| plane.connected() == ["gone", "closed"]).await;
    let began = Instant::now();
    drop(gone);
    until(|| plane.connected() == ["closed"]).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // It has said all that it wanted, and still listens.
    let Instance { requests, mut responses } = closed;
    drop(requests);
    until(|| plane.connected().is_empty()).await;
    while responses.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn an_instance_that_cannot_be_reached_any_more_is_forgotten() {
    let plane = Plane::start().await;
    let network = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = network.local_addr().unwrap();
    let (cut, grpc) = (CancellationToken::new(), plane.grpc);
    let is_cut = cut.clone();
    tokio::spawn(async move {
        let (mut near, _) = network.accept().await.unwrap();
        let mut far = TcpStream::connect(grpc).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            // Nothing passes any more, and nobody is told: both connections stay open.
            () = is_cut.cancelled() => std::future::pending().await,
        }
    });
    let client = ReplicaClient::connect(format!("http://{address}")).await.unwrap();
    let mut instance = Instance::connect(client, "authz-1", None).await;
    instance.start_over().await;
    until(|| plane.connected() == ["authz-1"]).await;
    cut.cancel();
    let gone = Box::pin(until(|| plane.connected().is_empty()));
    let (seconds, ()) = pass_until(gone).await;
    assert!(seconds <= 12, "{seconds} s");
}

#[tokio::test]
async fn without_hello_the_stream_is_closed() {
    let plane = Plane::start().await;
    let mut instance = Instance::open(plane.replica().await).await;
    let (seconds, status) = pass_until(Box::pin(instance.responses.message())).await;
    assert_eq!(status.unwrap_err().code(), Code::DeadlineExceeded);
    assert!((3..=6).contains(&seconds), "{seconds} s");
    assert!(plane.connected().is_empty());
}

#[tokio::test]
async fn what_is_out_of_order_ends_the_stream() {
    let plane = Plane::start().await;

    let mut twice = Instance::connect(plane.replica().await, "twice", None).await;
    twice.start_over().await;
    twice.hello("twice", None).await;
    assert_eq!(twice.end().await.code(), Code::InvalidArgument);

    let mut early = Instance::open(plane.replica().await).await;
    early.applied(1).await;
    assert_eq!(early.end().await.code(), Code::InvalidArgument);

    let mut empty = Instance::connect(plane.replica().await, "empty", None).await;
    empty.start_over().await;
    empty.requests.send(v1::WatchRequest { message: None }).await.unwrap();
    assert_eq!(empty.end().await.code(), Code::InvalidArgument);

    let mut cut = Instance::open(plane.replica().await).await;
    let position = v1::Position { epoch: vec![1, 2, 3], ..plane.head().into() };
    cut.hello("cut", Some(position)).await;
    assert_eq!(cut.end().await.code(), Code::InvalidArgument);

    until(|| plane.connected().is_empty()).await;
}

#[tokio::test]
async fn a_name_that_operators_cannot_read_is_refused() {
    let plane = Plane::start().await;
    for name in ["", "two words", "line\nfeed", "\u{1b}[2J", &"x".repeat(256)] {
        let mut instance = Instance::connect(plane.replica().await, name, None).await;
        assert_eq!(instance.end().await.code(), Code::InvalidArgument, "{name:?}");
    }
    // Longer than any request may be.
    let mut instance = Instance::connect(plane.replica().await, &"x".repeat(100_000), None).await;
    assert_eq!(instance.end().await.code(), Code::OutOfRange);
    assert!(plane.connected().is_empty());
}

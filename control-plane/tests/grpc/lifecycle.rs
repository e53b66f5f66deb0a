use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::instance::Instance;
use crate::plane::{Plane, in_time, pass_until};

/// The first half of a registration.
async fn half_a_request(plane: &Plane) -> TcpStream {
    let mut stream = TcpStream::connect(plane.http).await.unwrap();
    let body = r#"{"redirect_uris":["#;
    let head = "POST /register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let head = format!("{head}content-length: {}\r\nexpect: 100-continue\r\n\r\n", body.len() + 25);
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: so the request is under way.
    let mut ask = [0; 25];
    in_time(stream.read_exact(&mut ask)).await.unwrap();
    assert_eq!(&ask, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn it_says_that_it_is_well() {
    let plane = Plane::start().await;
    let mut health = HealthClient::new(plane.channel().await);
    for service in ["", "portcullis.v1.Replica"] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, ServingStatus::Serving as i32, "{service:?}");
    }
    assert!(Plane::get(plane.ops, "/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(Plane::get(plane.ops, "/readyz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn told_to_stop_it_ends_streams_and_answers_what_is_under_way() {
    let plane = Plane::start().await;
    let mut instance = Instance::connect(plane.replica().await, "authz-1", None).await;
    instance.start_over().await;
    let mut health = HealthClient::new(plane.channel().await);
    let mut health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    in_time(health.message()).await.unwrap();
    let idle = TcpStream::connect(plane.http).await.unwrap();
    let mut request = half_a_request(&plane).await;

    let began = Instant::now();
    plane.shutdown.cancel();
    assert_eq!(instance.end().await.code(), Code::Unavailable);
    assert!(plane.connected().is_empty());
    while in_time(health.message()).await.unwrap().is_some() {}
    assert!(!plane.running.is_finished(), "the request is still under way");
    request.write_all(br#""https://a.example/cb"]}  "#).await.unwrap();
    let mut answer = String::new();
    in_time(request.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    in_time(plane.running).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(idle);
    assert!(TcpStream::connect(plane.http).await.is_err());
    assert!(TcpStream::connect(plane.grpc).await.is_err());
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_it_from_stopping() {
    let plane = Plane::start().await;
    let _request = half_a_request(&plane).await;
    plane.shutdown.cancel();
    let (seconds, stopped) = pass_until(plane.running).await;
    stopped.unwrap().unwrap();
    assert!((7..=11).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn an_instance_that_does_not_read_does_not_keep_it_from_stopping() {
    let plane = Plane::with_a_token().await;
    let mut instance = Instance::connect(plane.replica().await, "authz-1", Some(plane.head())).await;
    instance.catalog().await;
    crate::stalled::flood(&plane).await;
    plane.shutdown.cancel();
    let (seconds, stopped) = pass_until(plane.running).await;
    stopped.unwrap().unwrap();
    assert!(seconds <= 12, "{seconds} s");
    assert!(plane.app.instances.list().is_empty());
}

#[tokio::test]
async fn t17_a_connection_has_a_thousand_calls_and_streams_and_more_wait() {
    let plane = Plane::start().await;
    let ask = async |channel| HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    let shared = plane.channel().await;
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        let watch = in_time(HealthClient::new(shared.clone()).watch(HealthCheckRequest::default())).await;
        streams.push(watch.unwrap().into_inner());
    }
    let mut waiting = std::pin::pin!(ask(shared));
    // Other connections have as many of their own.
    let others = async {
        for _ in 0..10 {
            ask(plane.channel().await).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        answer = &mut waiting => panic!("one more had its turn: {answer:?}"),
        () = in_time(others) => {}
    }
    streams.pop();
    in_time(waiting).await.unwrap();
}

//! How long it may take: a head, a whole request, an exchange in which nothing comes, a connection without a request.

use std::time::Duration;

use portcullis_envoy::Limits;
use portcullis_tests::edge::{Answer, Fixture, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Long enough for a busy machine, and below every default that is replaced here.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the tests have in the place of the defaults.
const BOUND: Duration = Duration::from_secs(1);

/// Envoy tells the time in whole milliseconds, and not anew for each timer.
fn bound_or_more(lasted: Duration) -> bool {
    lasted >= BOUND * 9 / 10 && lasted < PATIENCE
}

/// One of Envoy's counters.
async fn counter(edge: &Fixture, name: &str) -> u64 {
    let stats = Request::new("GET", "/stats").send(edge.envoy.admin()).await.body;
    let name = format!("http.edge.{name}: ");
    stats.lines().find_map(|line| line.strip_prefix(&name)).unwrap().trim().parse().unwrap()
}

/// What comes first of an answer: its head, at least.
async fn first_of(reader: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = vec![0; 4096];
    let read = timeout(PATIENCE, reader.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn t17_whoever_dawdles_over_a_requests_head_is_closed() {
    let edge = Fixture::start().await;
    let mut stream = TcpStream::connect(edge.envoy.address()).await.unwrap();
    stream.write_all(b"POST /token HTTP/1.1\r\nhost: mcp.test\r\nx-slow: ").await.unwrap();
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    closed.expect("closed after 10 s").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&answer));
}

/// However steadily it comes.
#[tokio::test]
async fn t17_whoever_dawdles_over_a_requests_body_is_closed() {
    let edge = Fixture::with(|edge| edge.limits = Limits { request: BOUND, ..Limits::default() }).await;
    let mcp = format!("/demo/mcp HTTP/1.1\r\nauthorization: {}", Answer::Allow.authorization());
    for head in ["/token HTTP/1.1", &mcp] {
        let began = Instant::now();
        let (mut reader, mut writer) = TcpStream::connect(edge.envoy.address()).await.unwrap().into_split();
        writer
            .write_all(format!("POST {head}\r\nhost: mcp.test\r\ncontent-length: 1000\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let trickle = tokio::spawn(async move {
            while writer.write_all(b"a").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        });
        let answer = first_of(&mut reader).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
        assert!(bound_or_more(began.elapsed()), "{head}");
        trickle.abort();
    }
    assert_eq!(counter(&edge, "downstream_rq_timeout").await, 2);
    assert!(edge.forwarded().is_empty());
}

#[tokio::test]
async fn t29_a_stream_in_which_nothing_comes_ends() {
    let edge = Fixture::with(|edge| edge.limits = Limits { idle_stream: BOUND, ..Limits::default() }).await;
    let began = Instant::now();
    let silent = edge.send(&Request::new("GET", "/demo/mcp/silent").token(Answer::Allow)).await;
    assert_eq!(silent.status, 200);
    assert!(silent.body.contains("data: tick"), "it had begun");
    assert!(bound_or_more(began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(counter(&edge, "downstream_rq_idle_timeout").await, 1);

    let request = Request::new("GET", "/demo/mcp/events").token(Answer::Allow);
    let lively = timeout(3 * BOUND, edge.send(&request)).await;
    assert!(lively.is_err(), "a stream in which something comes goes on: {lively:?}");
}

#[tokio::test]
async fn t17_a_connection_without_a_request_is_closed() {
    let limits = Limits { idle_connection: BOUND, ..Limits::default() };
    let edge = Fixture::with(|edge| edge.limits = limits).await;
    let mut stream = TcpStream::connect(edge.envoy.address()).await.unwrap();
    for _ in 0..2 {
        // It is kept for the next request,
        stream
            .write_all(b"POST /token HTTP/1.1\r\nhost: mcp.test\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        let answer = first_of(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
    let began = Instant::now();
    // but not for ever.
    let closed = timeout(PATIENCE, stream.read(&mut [0; 64])).await.expect("it is closed");
    assert_eq!(closed.unwrap_or(0), 0);
    assert!(bound_or_more(began.elapsed()), "{:?}", began.elapsed());
}

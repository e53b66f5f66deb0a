//! Too much of everything.

use std::time::Duration;

use portcullis_envoy::{Limits, Rate};
use portcullis_tests::edge::{Answer, Fixture, Request};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn t15_bodies_are_bounded() {
    let edge = Fixture::with(|edge| edge.limits = Limits { body_bytes: 1 << 20, ..Limits::default() }).await;
    let token = Request::new("POST", "/token");
    assert_eq!(edge.send(&token.clone().body(vec![b'a'; 60_000])).await.status, 200);
    assert_eq!(edge.send(&token.body(vec![b'a'; 70_000])).await.status, 413);
    let mcp = Request::new("POST", "/demo/mcp").token(Answer::Allow);
    assert_eq!(edge.send(&mcp.clone().body(vec![b'a'; 1_000_000])).await.status, 200);
    assert_eq!(edge.send(&mcp.body(vec![b'a'; 1_100_000])).await.status, 413);
}

#[tokio::test]
async fn t15_heads_are_bounded() {
    let edge = Fixture::start().await;
    let request = Request::new("POST", "/demo/mcp").token(Answer::Allow);
    let many = (0..101).fold(request.clone(), |request, number| request.header(&format!("x-{number}"), "1"));
    assert_eq!(edge.send(&many).await.status, 431);
    assert_eq!(edge.send(&request.clone().header("x-long", &"x".repeat(40 * 1024))).await.status, 431);
    let uri = format!("/authorize?{}", "x".repeat(40 * 1024));
    assert_eq!(edge.send(&Request::new("GET", &uri)).await.status, 431);
    assert!(edge.forwarded().is_empty());
    assert_eq!(edge.send(&request).await.status, 200);
}

#[tokio::test]
async fn t17_a_flood_from_one_address_is_slowed_on_its_own_route_only() {
    let register = Rate { per_address: 3, overall: 100 };
    let mcp = Rate { per_address: 5, overall: 100 };
    let edge = Fixture::with(|edge| edge.limits = Limits { register, mcp, ..Limits::default() }).await;
    let statuses = async |request: Request, count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(edge.send(&request).await.status);
        }
        statuses
    };
    assert_eq!(statuses(Request::new("POST", "/register"), 4).await, [200, 200, 200, 429]);
    let limited = edge.send(&Request::new("POST", "/register")).await;
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Guesses at tokens are counted before authz is asked.
    assert_eq!(statuses(Request::new("POST", "/demo/mcp"), 6).await, [401, 401, 401, 401, 401, 429]);
    assert_eq!(edge.authz.take().len(), 5);
    assert_eq!(statuses(Request::new("POST", "/token"), 4).await, [200; 4]);
}

#[tokio::test]
async fn who_was_slowed_is_served_again_within_seconds() {
    let register = Rate { per_address: 60, overall: 1000 };
    let edge = Fixture::with(|edge| edge.limits = Limits { register, ..Limits::default() }).await;
    let request = Request::new("POST", "/register");
    while edge.send(&request).await.status != 429 {}
    let deadline = Instant::now() + Duration::from_secs(5);
    while edge.send(&request).await.status != 200 {
        assert!(Instant::now() < deadline, "refilled once a minute, not evenly");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn t17_all_addresses_together_are_bounded_too() {
    let register = Rate { per_address: 100, overall: 2 };
    let edge = Fixture::with(|edge| edge.limits = Limits { register, ..Limits::default() }).await;
    let request = Request::new("POST", "/register");
    assert_eq!(edge.send(&request).await.status, 200);
    assert_eq!(edge.send(&request).await.status, 200);
    assert_eq!(edge.send(&request).await.status, 429);
}

/// A customer may have a whole IPv6 /48.
#[tokio::test]
async fn t17_one_customers_addresses_leave_room_for_others() {
    let register = Rate { per_address: 2, overall: 12 };
    let edge = Fixture::behind_a_proxy(|edge| edge.limits = Limits { register, ..Limits::default() }).await;
    let status = async |from| edge.send(&Request::new("POST", "/register").from(from)).await.status;
    for (from, expected) in [
        ("2001:db8:1:1::1", 200),
        ("2001:db8:1:1::2", 200),
        ("2001:db8:1:1::3", 429), // the third of a /64
        ("2001:db8:1:2::1", 200),
        ("2001:db8:1:3::1", 200),
        ("2001:db8:1:4::1", 200),
        ("2001:db8:1:5::1", 200),
        ("2001:db8:1:6::1", 429), // the seventh of a /48
        ("2001:db8:1:7::1", 429),
        ("2001:db8:1:8::1", 429),
        ("2001:db8:2:1::1", 200),
        ("2001:db8:3:1::1", 200),
    ] {
        assert_eq!(status(from).await, expected, "{from}");
    }
}

#[tokio::test]
async fn t17_one_user_cannot_open_event_streams_without_end() {
    let edge = Fixture::with(|edge| edge.limits = Limits { streams_per_user: 3, ..Limits::default() }).await;
    let status =
        async |method, answer| edge.send(&Request::new(method, "/demo/mcp").token(answer)).await.status;
    for user in [Answer::Allow, Answer::AllowAnother] {
        for expected in [200, 200, 200, 429, 429] {
            assert_eq!(status("GET", user).await, expected, "{user:?}");
        }
        assert_eq!(status("POST", user).await, 200);
    }
    for _ in 0..5 {
        assert_eq!(status("GET", Answer::PassThrough).await, 200, "nobody knows who");
    }
    let other = Request::new("GET", "/demo/mcp/inner").token(Answer::Allow);
    assert_eq!(edge.send(&other).await.status, 200, "another MCP server");
}

#[tokio::test]
async fn t17_connections_without_a_request_make_room_for_others() {
    let edge = Fixture::with(|edge| edge.limits = Limits { connections: 10, ..Limits::default() }).await;
    let connect = async || TcpStream::connect(edge.envoy.address()).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(connect().await);
    }
    assert_eq!(connect().await.read(&mut [0]).await.unwrap_or(0), 0, "there is no room");
    for connection in &mut idle {
        let closed = timeout(Duration::from_secs(15), connection.read(&mut [0])).await;
        assert_eq!(closed.expect("it is closed long before 60 s").unwrap_or(0), 0);
    }
    assert_eq!(edge.send(&Request::new("POST", "/token")).await.status, 200);
}

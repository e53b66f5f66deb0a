use std::io;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use tokio::time::Instant;

use super::answer::Answer;
use super::harness::World;
use super::login::{Browser, public};

const OPEN: [(&str, &str); 6] = [
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/oauth-protected-resource/demo/mcp"),
    ("GET", "/demo/mcp/.well-known/openid-configuration"),
    ("POST", "/register"),
    ("POST", "/token"),
    ("POST", "/revoke"),
];
const FORM: &str = "application/x-www-form-urlencoded";

async fn preflight(world: &World, method: &str, path: &str) -> Answer {
    let request = Request::options(path)
        .header(header::ORIGIN, "https://app.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, method)
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type,mcp-protocol-version");
    world.send(request, "").await
}

#[tokio::test]
async fn t28_scripts_of_any_page_may_use_what_clients_use_with_the_headers_that_they_send() {
    let world = World::new();
    for (method, path) in OPEN {
        let answer = preflight(&world, method, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert!(answer.header("access-control-allow-methods").contains(method), "{path}");
        let allowed = answer.header("access-control-allow-headers");
        for name in ["authorization", "content-type", "mcp-protocol-version"] {
            assert!(allowed.contains(name), "{path}: {allowed}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
    }
    for (method, path) in [("GET", "/authorize"), ("POST", "/consent"), ("GET", "/callback")] {
        assert_eq!(preflight(&world, method, path).await.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn errors_can_be_read_by_scripts_too() {
    let world = World::new();
    let long = "x".repeat(65 * 1024);
    for (answer, status) in [
        (world.get("/nowhere").await, 404),
        (world.get("/token").await, 405),
        (world.post("/token", "text/plain", "").await, 400),
        (world.post("/token", FORM, "").await, 401),
        (world.post("/token", FORM, long.clone()).await, 413),
        (world.post("/register", "application/json", long).await, 413),
    ] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{answer:#?}");
        assert!(answer.header("access-control-expose-headers").contains("www-authenticate"), "{answer:#?}");
    }
}

#[tokio::test]
async fn t15_long_bodies_are_refused_with_413() {
    let world = World::new();
    for size in [65 * 1024, 1024 * 1024] {
        for (path, content_type, code) in [
            ("/register", "application/json", "invalid_client_metadata"),
            ("/token", FORM, "invalid_request"),
            ("/revoke", FORM, "invalid_request"),
            ("/consent", FORM, "invalid_request"),
        ] {
            let answer = world.post(path, content_type, format!("x={}", "x".repeat(size))).await;
            assert_eq!(answer.error(), (413, code.into()), "{path}");
            assert!(answer.body.contains("more than 65536 bytes"), "{answer:#?}");
        }
    }
    assert_eq!(world.reached("body"), 8);
    // The edge's bound is the same: what it lets through must not fail here.
    let mut metadata = public();
    metadata["padding"] = "x".repeat(64 * 1024 - metadata.to_string().len() - 13).into();
    assert_eq!(metadata.to_string().len(), 64 * 1024);
    let answer = world.post("/register", "application/json", metadata.to_string()).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn t15_a_body_that_never_comes_is_waited_for_25_seconds() {
    let world = World::new();
    tokio::time::pause();
    for (path, content_type) in [("/token", FORM), ("/consent", FORM), ("/register", "application/json")] {
        let began = Instant::now();
        let body = Body::from_stream(tokio_stream::pending::<io::Result<Bytes>>());
        let answer = world.post(path, content_type, body).await;
        assert_eq!((answer.status, began.elapsed().as_secs()), (503, 25), "{path}");
    }
}

#[tokio::test]
async fn t15_a_uri_that_is_too_long_is_refused_with_414() {
    let world = World::new();
    let of = |length: usize| format!("/authorize?{}", "x".repeat(length - "/authorize?".len()));
    let answer = world.get(&of(16 * 1024 + 1)).await;
    assert_eq!(answer.status, 414);
    assert!(answer.body.contains("the URI has more than 16384 bytes"), "{answer:#?}");
    assert_eq!(world.reached("uri"), 1);
    assert!(world.get(&of(16 * 1024)).await.is_page(400));
    assert_eq!(world.reached("uri"), 1);
}

#[tokio::test]
async fn t15_too_many_parameters_are_said_to_be_so_everywhere() {
    let world = World::new();
    let many: Vec<_> = (0..60).map(|number| format!("p{number}=1")).collect();
    let many = many.join("&");
    for path in ["/token", "/revoke", "/consent"] {
        let answer = world.post(path, FORM, many.clone()).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{path}");
        assert!(answer.body.contains("more than 50 parameters"), "{answer:#?}");
    }
    let page = world.get(&format!("/authorize?{many}")).await;
    assert!(page.is_page(400) && page.body.contains("more than 50 parameters"), "{page:#?}");
    assert_eq!(world.reached("parameters"), 4);

    let client = world.register(public()).await;
    let answer = world.open(&Browser::default(), &client, &[("state", &"s".repeat(2049))]).await;
    assert!(answer.is_page(400) && answer.body.contains("state has more than 2048 bytes"), "{answer:#?}");
    assert_eq!(world.reached("state"), 1);
    assert!(world.open(&Browser::default(), &client, &[("state", &"s".repeat(2048))]).await.is_page(200));
}

#[tokio::test]
async fn each_endpoint_has_its_methods() {
    let world = World::new();
    for (path, allowed) in [
        ("/token", "POST"),
        ("/register", "POST"),
        ("/revoke", "POST"),
        ("/consent", "POST"),
        ("/authorize", "GET,HEAD"),
        ("/.well-known/oauth-authorization-server", "GET,HEAD"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            if !allowed.contains(method) {
                let answer = world.send(Request::builder().method(method).uri(path), "").await;
                assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn t15_a_panic_ends_one_request_and_says_nothing() {
    let world = World::new();
    world.random.panics.store(true, Ordering::SeqCst);
    let answer = world.post("/register", "application/json", public().to_string()).await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("told to panic"), "{answer:#?}");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    world.random.panics.store(false, Ordering::SeqCst);
    world.register(public()).await;
}

//! What no client should send, at every route that takes a body.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, header};
use tracing::Level;

use super::answer::param;
use super::harness::World;
use super::log::Log;
use super::login::{public, query};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// All of them, with what they take.
const ROUTES: [(&str, &str); 10] = [
    ("/register", JSON),
    ("/token", FORM),
    ("/revoke", FORM),
    ("/consent", FORM),
    ("/user-token", FORM),
    ("/account/login", FORM),
    ("/account/disconnect", FORM),
    ("/account/replace", FORM),
    ("/account/remove", FORM),
    ("/account/logout", FORM),
];
/// How often somebody sends the same thing.
const TIMES: usize = 100;
/// The longest line that a malformed request may leave, in bytes.
const LINE: usize = 1024;

fn refusal(status: u16, route: &str) -> (u16, String) {
    let code = if route == "/register" { "invalid_client_metadata" } else { "invalid_request" };
    (status, code.to_owned())
}

fn typed(request: Builder, types: &[&str]) -> Builder {
    types.iter().fold(request, |request, media| request.header(header::CONTENT_TYPE, *media))
}

#[tokio::test]
async fn t15_at_every_route_that_takes_a_body_what_is_malformed_is_refused_with_a_4xx() {
    let world = World::new();
    let description = world.get("/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap().iter();
    let described: BTreeSet<_> =
        paths.filter(|(_, item)| item["post"].is_object()).map(|(path, _)| path).collect();
    assert_eq!(described, ROUTES.map(|(route, _)| route.to_owned()).iter().collect());

    for (route, media) in ROUTES {
        let refused = refusal(400, route);
        let wrong = if media == FORM { JSON } else { FORM };
        for types in [&[wrong][..], &["text/plain"], &[""], &[], &[media, media]] {
            let answer = world.send(typed(Request::post(route), types), "{}").await;
            assert_eq!(answer.error(), refused, "{route} as {types:?}");
        }
        let bodies: &[&[u8]] = match media {
            FORM => &[b"x=1&x=1", b"x=1&x=2", b"x=1&%78=2", b"x=\xff", b"x=%ff", b"\xff=x", b"%ff=x"],
            _ => &[b"{\"client_name\":\"\xff\"}", b"\xff", b"{", b"[]", b""],
        };
        for body in bodies {
            let answer = world.post(route, media, body.to_vec()).await;
            assert_eq!(answer.error(), refused, "{route}: {}", String::from_utf8_lossy(body));
        }
        let answer = world.post(route, media, vec![b'x'; 1 << 20]).await;
        assert_eq!(answer.error(), refusal(413, route), "{route}");
    }
    assert_eq!(world.count_rows().await, 0);
}

/// Sends the same many times; how many lines that has left in the log, none of them long.
async fn lines(world: &World, log: &Log, what: &str, request: impl Fn() -> (Builder, Body)) -> usize {
    log.take();
    for _ in 0..TIMES {
        let (request, body) = request();
        let answer = world.send(request, body).await;
        assert!((400..500).contains(&answer.status), "{what}: {answer:#?}");
    }
    let log = log.take();
    let longest = log.lines().max_by_key(|line| line.len()).unwrap_or_default();
    assert!(longest.len() <= LINE, "{what} leaves {} bytes: {longest}", longest.len());
    let count = log.lines().count();
    assert!(count <= TIMES, "{what} leaves {count} lines: {log}");
    count
}

/// Envoy's access log has one line for each request, and cuts what is long. This is the control plane's own.
#[tokio::test]
async fn t15_what_is_malformed_leaves_one_short_line_at_most() {
    let world = World::new();
    let client = world.register(public()).await;
    let (log, _guard) = Log::keep(Level::INFO);
    let mut left = 0;
    // Escaped once for the request and once for the log, each of these becomes more than it was.
    for filler in ["x", "\"", "\\", "\u{1}", "\u{1f600}"] {
        let long = filler.repeat((12 << 10) / query(&[("", filler)]).len());
        for (route, media) in ROUTES {
            let post = || typed(Request::post(route), &[media]);
            let what = format!("{filler:?} at {route}");
            let bodies: Vec<Vec<u8>> = match media {
                FORM => ["grant_type", "client_id", "token", "request", "csrf", "id", "server", ""]
                    .map(|name| query(&[(name, &long), ("decision", "approve")]))
                    .into_iter()
                    .chain([query(&[(&long, "1"), (&long, "2")])])
                    .map(String::into_bytes)
                    .collect(),
                _ => ["client_name", "redirect_uris", "token_endpoint_auth_method", "client_uri", ""]
                    .map(|name| {
                        serde_json::json!({ name: long, "redirect_uris": long }).to_string().into_bytes()
                    })
                    .into(),
            };
            for body in bodies {
                left += lines(&world, &log, &what, || (post(), body.clone().into())).await;
            }
            let basic = super::login::basic(&client.id, &"x".repeat(12 << 10));
            let authenticated = || post().header(header::AUTHORIZATION, &basic);
            left += lines(&world, &log, &what, || (authenticated(), "grant_type=refresh_token".into())).await;
        }
        let good = [
            ("grant_type", "authorization_code"),
            ("client_id", &client.id),
            ("code", "x"),
            ("redirect_uri", "x"),
            ("refresh_token", "x"),
            ("token", "x"),
        ];
        for (name, _) in good {
            let mut form = good;
            form.iter_mut().filter(|(other, _)| *other == name).for_each(|(_, value)| *value = &long);
            let post = || (typed(Request::post("/token"), &[FORM]), query(&form).into());
            left += lines(&world, &log, &format!("{filler:?} as {name}"), post).await;
        }
        for name in
            ["client_id", "redirect_uri", "response_type", "scope", "resource", "code_challenge", "state"]
        {
            let uri = format!("/authorize?{}", query(&[("client_id", &client.id), (name, &long)]));
            let uri =
                if name == "client_id" { format!("/authorize?{}", query(&[(name, &long)])) } else { uri };
            left += lines(&world, &log, name, || (Request::get(&uri), Body::empty())).await;
        }
        for name in ["state", "code", "error", "iss"] {
            let uri = format!("/callback?{}", query(&[(name, &long)]));
            left += lines(&world, &log, name, || (Request::get(&uri), Body::empty())).await;
        }
    }
    for (route, media) in ROUTES {
        let post = || (typed(Request::post(route), &[media]), vec![b'x'; 1 << 20].into());
        left += lines(&world, &log, route, post).await;
    }
    assert!(left > 0, "nothing is logged: the test shows nothing");
}

/// What the provider says is the browser's word.
#[tokio::test]
async fn t15_a_long_no_of_the_provider_leaves_one_short_line() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let state = param(&world.approve(&page).await, "state");
    let (log, _guard) = Log::keep(Level::INFO);
    let long = "\u{1}".repeat(4 << 10);
    let answer = world.callback(&page.browser, &[("state", &state), ("error", &long)]).await;
    assert!(answer.status < 500, "{answer:#?}");
    let log = log.take();
    assert!(log.lines().count() == 1 && log.len() <= LINE, "{log}");
}

//! What no client should send, at every route that takes a body.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, header};
use serde_json::json;
use tracing::Level;

use super::answer::param;
use super::harness::World;
use super::log::Log;
use super::login::{basic, public, query};

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
const TIMES: usize = 20;
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

/// Somebody who sends the same many times, and what that leaves in the log.
struct Flood {
    world: World,
    log: Log,
    times: usize,
    lines: usize,
}

impl Flood {
    /// Each leaves a line at most, and none a long one.
    async fn send(&mut self, what: &str, request: impl Fn() -> (Builder, Body)) {
        for _ in 0..self.times {
            let (request, body) = request();
            let answer = self.world.send(request, body).await;
            assert!((400..500).contains(&answer.status), "{what}: {answer:#?}");
        }
        self.world.transcript.lock().unwrap().clear();
        let log = self.log.take();
        let longest = log.lines().max_by_key(|line| line.len()).unwrap_or_default();
        assert!(longest.len() <= LINE, "{what} leaves {} bytes: {longest}", longest.len());
        let count = log.lines().count();
        assert!(count <= self.times, "{what} leaves {count} lines: {log}");
        self.lines += count;
    }

    async fn post(&mut self, route: &str, media: &str, body: impl AsRef<[u8]>) {
        let request = || (typed(Request::post(route), &[media]), body.as_ref().to_vec().into());
        self.send(route, request).await;
    }

    async fn get(&mut self, uri: &str) {
        self.send(&uri[..40.min(uri.len())], || (Request::get(uri), Body::empty())).await;
    }
}

/// Envoy's access log has one line for each request, and cuts what is long. This is the control plane's own.
#[tokio::test]
async fn t15_what_is_malformed_leaves_one_short_line_at_most() {
    let world = World::new();
    let client = world.register(public()).await.id;
    let (log, _guard) = Log::keep(Level::INFO);
    let mut flood = Flood { world, log, times: TIMES, lines: 0 };
    for (route, media) in ROUTES {
        flood.post(route, media, vec![b'x'; 1 << 20]).await;
    }
    // Escaped once for the request and once for the log, each of these becomes more than it was.
    for (filler, times) in [("x", TIMES), ("\"", 2), ("\\", 2), ("\u{1}", 2), ("\u{1f600}", 2)] {
        flood.times = times;
        let filling = filler.repeat((15 << 10) / query(&[("", filler)]).len());
        for (route, media) in ROUTES {
            if media == FORM {
                for name in ["grant_type", "client_id", "request", "csrf", "id", ""] {
                    flood.post(route, media, query(&[(name, &filling), ("decision", "approve")])).await;
                }
                flood.post(route, media, query(&[(&filling, "1"), (&filling, "2")])).await;
            }
        }
        for name in ["client_name", "token_endpoint_auth_method", "client_uri", ""] {
            let metadata = json!({ name: filling, "redirect_uris": [filling] });
            flood.post("/register", JSON, metadata.to_string()).await;
        }
        for name in ["code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource"] {
            for grant_type in ["authorization_code", "refresh_token"] {
                let good = [("grant_type", grant_type), ("client_id", &client), ("code", "x")];
                let mut form: Vec<_> = good.into_iter().filter(|(other, _)| *other != name).collect();
                form.extend([(name, filling.as_str())]);
                flood.post("/token", FORM, query(&form)).await;
            }
        }
        for name in ["redirect_uri", "response_type", "scope", "resource", "code_challenge", "state"] {
            flood.get(&format!("/authorize?{}", query(&[("client_id", &client), (name, &filling)]))).await;
        }
        flood.get(&format!("/authorize?{}", query(&[("client_id", &filling)]))).await;
        for name in ["state", "code", "error", "iss"] {
            flood.get(&format!("/callback?{}", query(&[(name, &filling)]))).await;
        }
    }
    let filling = "x".repeat(12 << 10);
    for route in ["/token", "/revoke"] {
        let request = || {
            let request = typed(Request::post(route), &[FORM]);
            (
                request.header(header::AUTHORIZATION, basic(&filling, &filling)),
                "grant_type=refresh_token".into(),
            )
        };
        flood.send(route, request).await;
    }
    assert!(flood.lines > TIMES, "nothing is logged: the test shows nothing");
}

/// What the provider says is the browser's word.
#[tokio::test]
async fn t15_a_long_no_of_the_provider_leaves_one_short_line() {
    let world = World::new();
    let client = world.register(public()).await;
    let filling = "\u{1}".repeat(4 << 10);
    for (error, description) in [(&*filling, "no"), ("access_denied", &filling), ("server_error", &filling)] {
        let page = world.authorize(&client, &[]).await;
        let state = param(&world.approve(&page).await, "state");
        let (log, _guard) = Log::keep(Level::INFO);
        let no = [("state", state.as_str()), ("error", error), ("error_description", description)];
        let answer = world.callback(&page.browser, &no).await;
        assert_ne!(answer.status, 500, "{answer:#?}");
        let log = log.take();
        assert!(log.lines().count() == 1 && log.len() <= LINE, "{log}");
    }
}

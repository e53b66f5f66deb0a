use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::provider::testing::{FakeProvider, Reply, error_of, http, secret};

/// What is got of `/x` where it gives this answer.
async fn get(reply: impl Into<Reply>) -> Result<Value, ProviderError> {
    let fake = FakeProvider::start().await;
    fake.reply("/x", reply);
    http().get_json("the paper", &fake.url("/x"), None).await
}

#[tokio::test]
async fn a_document_is_got_with_the_token_as_bearer() {
    let fake = FakeProvider::start().await;
    fake.reply("/x", json!({ "a": 1 }));
    let got: Value =
        http().get_json("the paper", &fake.url("/x?b=c"), Some(&secret("access"))).await.unwrap();
    assert_eq!(got, json!({ "a": 1 }));
    assert_eq!(fake.request("/x").headers["authorization"], "Bearer s3cr3t-access");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let fake = FakeProvider::start().await;
        fake.reply("/x", Reply { location: Some("/y?s3cr3t"), ..Reply::status(status, "") });
        fake.reply("/y", json!({}));
        let error = error_of(http().get_json::<Value>("the paper", &fake.url("/x"), None).await);
        assert_eq!(error, ProviderError::Malformed(format!("the paper: it redirects: HTTP {status}")));
        assert!(fake.requests("/y").is_empty());
    }
}

#[tokio::test]
async fn a_body_has_64_kib_at_most() {
    let text = |length: usize| json!("x".repeat(length - 2));
    assert!(get(text(MAX_BODY)).await.is_ok());
    let error = error_of(get(text(MAX_BODY + 1)).await);
    assert_eq!(error, ProviderError::Malformed("the paper: it is longer than 65536 bytes".into()));
    error_of(get(text(MAX_BODY * 100)).await);
}

#[tokio::test]
async fn what_is_not_said_with_200_is_no_document() {
    let refused = |status| ProviderError::Refused(format!("the paper: HTTP {status}"));
    let unreachable = |status| ProviderError::Unreachable(format!("the paper: HTTP {status}"));
    for status in [400, 401, 403, 404] {
        assert_eq!(error_of(get(Reply::status(status, "s3cr3t")).await), refused(status));
    }
    for status in [408, 429, 500, 503] {
        assert_eq!(error_of(get(Reply::status(status, "s3cr3t")).await), unreachable(status));
    }
    let error = error_of(get(Reply::status(200, "s3cr3t")).await);
    assert_eq!(error, ProviderError::Malformed("the paper is not the JSON that it must be".into()));
}

#[tokio::test]
async fn a_probe_sends_the_secret_in_its_header_and_tells_the_status() {
    let fake = FakeProvider::start().await;
    let probe = async |path: &str| {
        let value = HeaderValue::from_static("s3cr3t-token");
        http().probe(&fake.url(path), "x-api-key", value).await.map(|status| status.as_u16())
    };
    for status in [200, 204, 401, 403, 404] {
        fake.reply("/x", Reply::status(status, "s3cr3t"));
        assert_eq!(probe("/x").await, Ok(status));
    }
    assert_eq!(fake.requests("/x")[0].headers["x-api-key"], "s3cr3t-token");
    fake.reply("/x", Reply { location: Some("/y"), ..Reply::status(302, "") });
    assert!(matches!(probe("/x").await, Err(ProviderError::Malformed(_))));
    fake.reply("/x", Reply::status(503, ""));
    assert_eq!(probe("/x").await, Err(ProviderError::Unreachable("HTTP 503".into())));
    assert!(fake.requests("/y").is_empty());
}

#[tokio::test]
async fn what_is_not_there_or_not_to_be_seen_is_told_from_what_cannot_be_had() {
    let fake = FakeProvider::start().await;
    let (http, url) = (http(), fake.url("/x"));
    let find = || http.find_json::<Value>("the paper", &url, None);
    fake.reply("/x", json!({ "a": 1 }));
    assert_eq!(find().await, Ok(Ok(json!({ "a": 1 }))));
    for status in [403, 404] {
        fake.reply("/x", Reply::status(status, "s3cr3t"));
        assert_eq!(find().await.unwrap().unwrap_err().as_u16(), status);
    }
    for status in [201, 400, 401, 500] {
        fake.reply("/x", Reply::status(status, "{}"));
        error_of(find().await);
    }
    // A 403 that is about how much has been asked.
    for (retry_after, remaining) in [(Some("60"), None), (None, Some("0"))] {
        let limited = Reply { retry_after, rate_limit_remaining: remaining, ..Reply::status(403, "s3cr3t") };
        fake.reply("/x", limited);
        let error = error_of(find().await);
        assert!(matches!(error, ProviderError::Unreachable(_) | ProviderError::Busy { .. }), "{error}");
    }
    fake.reply("/x", Reply { rate_limit_remaining: Some("7"), ..Reply::status(403, "s3cr3t") });
    assert_eq!(find().await.unwrap().unwrap_err(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_wants_to_be_left_alone_may_say_for_how_long() {
    let after = |retry_after| Reply { retry_after: Some(retry_after), ..Reply::status(429, "s3cr3t") };
    let reason = || "the paper: HTTP 429".to_owned();
    for (text, seconds) in [("0", 0), ("120", 120), ("99999999999", 99_999_999_999)] {
        let retry_after = Duration::from_secs(seconds);
        let error = error_of(get(after(text)).await);
        assert_eq!(error, ProviderError::Busy { reason: reason(), retry_after });
    }
    for text in ["", "-1", "1.5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999"] {
        assert_eq!(error_of(get(after(text)).await), ProviderError::Unreachable(reason()), "{text}");
    }
    let refusal = Reply { retry_after: Some("5"), ..Reply::status(400, "") };
    assert_eq!(error_of(get(refusal).await), ProviderError::Refused(reason().replace("429", "400")));
}

#[tokio::test]
async fn an_answer_has_a_deadline() {
    let fake = FakeProvider::start().await;
    fake.reply("/x", Reply { hangs: true, ..json!({}).into() });
    assert_no_answer_in_time(&fake.url("/x")).await;
}

#[tokio::test]
async fn a_body_that_trickles_has_the_same_deadline() {
    let url = one_connection(async |mut stream: TcpStream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_no_answer_in_time(&url).await;
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/?s3cr3t", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = error_of(http().get_json::<Value>("the paper", &url, None).await);
    let text = error.to_string();
    assert!(matches!(error, ProviderError::Unreachable(_)), "{text}");
    assert!(text.contains("the paper: no connection: ") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_unreachable() {
    let url = one_connection(async |stream| drop(stream)).await;
    let error = error_of(http().get_json::<Value>("the paper", &url, None).await);
    assert_eq!(error, ProviderError::Unreachable("the paper: the connection broke".into()));
}

/// Asks with a deadline of 200 ms; a machine so busy that it is kept badly is no failure.
async fn assert_no_answer_in_time(url: &Url) {
    let http = Http::with_deadline(Duration::from_millis(200)).unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(30), http.get_json::<Value>("the paper", url, None));
    let error = error_of(asked.await.expect("the deadline ends it"));
    assert_eq!(error, ProviderError::Unreachable("the paper: no answer in time".into()));
}

/// Where one connection is served: by `serve`, once a request has come.
async fn one_connection<F: Future<Output = ()> + Send>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        serve(stream).await;
    });
    url
}

#[tokio::test]
async fn no_request_goes_out_without_https() {
    for url in
        ["http://idp.example/", "http://127.0.0.1.evil.example/", "http://10.0.0.1/", "http://0.0.0.0/"]
    {
        let error = error_of(http().get_json::<Value>("the paper", &Url::parse(url).unwrap(), None).await);
        let text = "the paper: an endpoint is neither https nor on loopback";
        assert_eq!(error, ProviderError::Malformed(text.into()), "{url}");
    }
    for url in ["https://idp.example/", "http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"] {
        assert!(is_safe(&Url::parse(url).unwrap()), "{url}");
    }
}

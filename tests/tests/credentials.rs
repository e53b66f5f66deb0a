//! What the MCP server gets in the proxy token's place, through everything there is.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis_proto::ids::TokenId;
use portcullis_tests::client::Client;
use portcullis_tests::edge::{Request, Response};
use portcullis_tests::stack::{Part, Stack};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// How long something may take to show.
const MOMENT: Duration = Duration::from_secs(20);

/// A stack whose server has these settings besides.
async fn stack(settings: Value) -> Stack {
    let configure = move |config: &mut Value| {
        for (key, value) in settings.as_object().unwrap() {
            config["servers"]["demo"][key] = value.clone();
        }
    };
    Stack::builder().configure(move |config, _| configure(config)).start().await
}

/// The directory that a stack's configuration is going to be in.
fn directory(config: &Value) -> PathBuf {
    let keys = Path::new(config["keys"]["path"].as_str().unwrap());
    keys.ancestors().nth(2).unwrap().to_owned()
}

/// A call with this token and these headers: the answer.
async fn call(stack: &Stack, token: &str, headers: &[(&str, &str)]) -> Response {
    let authority = stack.origin().replace("http://", "");
    let mut request = Request::new("POST", "/demo/mcp")
        .to(&authority)
        .header("content-type", "application/json")
        .header("authorization", &format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body("{}").send(stack.addresses().edge).await
}

/// Waits for a line of the access log with all of these parts.
async fn told(stack: &Stack, parts: &[&str]) {
    until(&format!("the access log tells {parts:?}"), async || {
        stack.log(Part::Edge).lines().any(|line| parts.iter().all(|part| line.contains(part)))
    })
    .await;
}

/// A call that is let through: what reached the MCP server.
async fn seen(stack: &Stack, token: &str, headers: &[(&str, &str)]) -> HeaderMap {
    let answer = call(stack, token, headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    stack.upstream().take().pop().expect("a request").headers
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let polled = async {
        while !condition().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(MOMENT, polled).await.unwrap_or_else(|_| panic!("it does not happen that {what}"));
}

/// Verifies an assertion as an MCP server does, from nothing but its own URL and its issuer's.
async fn verified(issuer: &str, audience: &str, text: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let get = async |url: &str| reqwest::get(url).await.unwrap().text().await.unwrap();
    let metadata = get(&format!("{issuer}/.well-known/oauth-authorization-server")).await;
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["issuer"], issuer);
    let keys: JwkSet = serde_json::from_str(&get(metadata["jwks_uri"].as_str().unwrap()).await).unwrap();
    let kid = jsonwebtoken::decode_header(text)?.kid.expect("a key id");
    let key = DecodingKey::from_jwk(keys.find(&kid).expect("a published key"))?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.leeway = 30;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    Ok(jsonwebtoken::decode::<Value>(text, &key, &validation)?.claims)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    assert_eq!(headers.get_all(name).iter().count(), 1, "{name} in {headers:?}");
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_static_credential_is_rotated_by_changing_its_file_and_nothing_restarts() {
    let configure = |config: &mut Value| {
        fs::write(directory(config).join("api-key"), "s3cr3t-one\n").unwrap();
        config["servers"]["demo"]["credential"] =
            json!({ "static": { "secret": { "file": "api-key" }, "header": "X-Api-Key" } });
    };
    let stack = Stack::builder().configure(move |config, _| configure(config)).start().await;
    let client = Client::register(stack.url(), "Credentials").await;
    let (ada, grace) = (client.login("ada").await.access_token, client.login("grace").await.access_token);
    for token in [&ada, &grace] {
        let headers = seen(&stack, token, &[("x-api-key", "mine"), ("X-API-Key", "mine too")]).await;
        assert_eq!(text(&headers, "x-api-key"), "s3cr3t-one");
        assert!(!headers.contains_key("authorization"), "{headers:?}");
    }
    assert_eq!(text(&seen(&stack, &grace, &[]).await, "x-portcullis-subject"), "grace");

    let file = stack.directory().join("api-key");
    fs::write(&file, "s3cr3t-two\n").unwrap();
    until("the new secret is sent", async || {
        text(&seen(&stack, &ada, &[]).await, "x-api-key") == "s3cr3t-two"
    })
    .await;
    assert_eq!(text(&seen(&stack, &grace, &[]).await, "x-api-key"), "s3cr3t-two");

    fs::write(&file, "").unwrap();
    until("the log says that the file is of no use", async || {
        stack.log(Part::ControlPlane).contains("the last good one stays in use")
    })
    .await;
    assert_eq!(text(&seen(&stack, &ada, &[]).await, "x-api-key"), "s3cr3t-two");
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge] {
        assert!(!stack.log(part).contains("s3cr3t"), "{part:?}");
    }
}

#[tokio::test]
async fn another_way_of_making_credentials_reaches_known_tokens_when_the_control_plane_is_back() {
    let mut stack = stack(json!({})).await;
    let client = Client::register(stack.url(), "Credentials").await;
    let token = client.login("ada").await.access_token;
    assert!(text(&seen(&stack, &token, &[]).await, "authorization").starts_with("Bearer demo_at_"));

    let file = stack.directory().join("portcullis.yaml");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    config["servers"]["demo"]["credential"] =
        json!({ "static": { "secret": { "value": "fixed" }, "scheme": "Token" } });
    fs::write(&file, config.to_string()).unwrap();
    stack.restart(Part::ControlPlane).await;
    until("the new credential is sent", async || {
        text(&seen(&stack, &token, &[]).await, "authorization") == "Token fixed"
    })
    .await;
}

#[tokio::test]
async fn an_assertion_is_verified_by_what_its_issuer_publishes() {
    let mut stack = stack(json!({ "credential": "assertion" })).await;
    let client = Client::register(stack.url(), "Credentials").await;
    let token = client.login("ada").await.access_token;
    let headers = seen(&stack, &token, &[]).await;
    let assertion = text(&headers, "authorization").strip_prefix("Bearer ").unwrap().to_owned();
    let claims = verified(&stack.origin(), stack.url(), &assertion).await.unwrap();
    assert_eq!((&claims["sub"], &claims["email"]), (&json!("ada"), &json!("ada@example.com")));
    assert_eq!((&claims["client_id"], &claims["provider"]), (&json!(client.client_id), &json!("corp")));
    assert_eq!(claims["scope"], "openid email");

    let elsewhere = stack.url().replace("/demo/", "/other/");
    let error = verified(&stack.origin(), &elsewhere, &assertion).await.unwrap_err();
    assert_eq!(error.kind(), &jsonwebtoken::errors::ErrorKind::InvalidAudience);
    let (head, signature) = assertion.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    assert!(verified(&stack.origin(), stack.url(), &forged).await.is_err());

    // The keys outlive the process, and no private one is published.
    stack.restart(Part::ControlPlane).await;
    verified(&stack.origin(), stack.url(), &assertion).await.unwrap();
    let keys = reqwest::get(format!("{}/.well-known/jwks.json", stack.origin())).await.unwrap();
    assert_eq!(keys.headers()["cache-control"], "public, max-age=300");
    assert!(!keys.text().await.unwrap().contains("\"d\""));
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge] {
        assert!(!stack.log(part).contains(signature), "{part:?}");
    }
}

#[tokio::test]
async fn t25_an_assertion_beside_the_providers_token_is_ours_whatever_the_client_sends() {
    let stack = stack(json!({ "assertion": { "header": "X-Proof" } })).await;
    let client = Client::register(stack.url(), "Credentials").await;
    let token = client.login("ada").await.access_token;
    let headers = seen(&stack, &token, &[("x-proof", "mine"), ("x-portcullis-assertion", "mine")]).await;
    assert!(text(&headers, "authorization").starts_with("Bearer demo_at_"));
    verified(&stack.origin(), stack.url(), text(&headers, "x-proof")).await.unwrap();
    assert!(!headers.contains_key("x-portcullis-assertion"));
}

#[tokio::test]
async fn none_leaves_the_identity_headers_alone_and_nothing_to_use() {
    let stack = stack(json!({ "credential": "none", "assertion": {} })).await;
    let client = Client::register(stack.url(), "Credentials").await;
    let token = client.login("ada").await.access_token;
    let headers = seen(&stack, &token, &[("x-portcullis-assertion", "mine")]).await;
    assert!(!headers.contains_key("authorization"), "{headers:?}");
    assert_eq!(text(&headers, "x-portcullis-subject"), "ada");
    verified(&stack.origin(), stack.url(), text(&headers, "x-portcullis-assertion")).await.unwrap();
}

#[tokio::test]
async fn a_server_gets_the_identity_headers_that_it_is_to_have_and_no_other() {
    let stack = stack(json!({ "credential": "none", "identity": ["subject", "scopes"] })).await;
    let client = Client::register(stack.url(), "Credentials").await;
    let token = client.login("ada").await.access_token;
    let spoofed = [("x-portcullis-email", "root@example.com"), ("x-portcullis-subject", "root")];
    let headers = seen(&stack, &token, &spoofed).await;
    let ours: BTreeMap<_, _> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix("x-portcullis-")?, value)))
        .collect();
    assert_eq!(ours.keys().copied().collect::<Vec<_>>(), ["scopes", "subject"]);
    assert_eq!(ours["subject"], "ada");
    told(&stack, &[r#""subject":"ada""#, r#""client_id":""#, r#""grant_id":""#]).await;
}

#[tokio::test]
async fn the_access_log_tells_who_asked_whatever_the_server_is_told() {
    for identity in [None, Some(json!(["subject", "grant"])), Some(json!([]))] {
        let settings = identity.map_or_else(|| json!({}), |identity| json!({ "identity": identity }));
        let stack = stack(settings).await;
        let client = Client::register(stack.url(), "Credentials").await;
        let token = client.login("ada").await.access_token;
        seen(&stack, &token, &[]).await;
        let [grant] = &stack.grants().await[..] else { panic!("one grant") };
        let token_id = TokenId::of(&token).short();
        let facts = [
            ("decision", "allow"),
            ("server", "demo"),
            ("subject", "ada"),
            ("client_id", &client.client_id),
            ("grant_id", &grant.grant_id),
            ("provider", "corp"),
            ("token_id", &token_id),
        ];
        let parts = facts.map(|(name, value)| format!(r#""{name}":"{value}""#));
        told(&stack, &parts.each_ref().map(String::as_str)).await;
    }
}

#[tokio::test]
async fn a_token_of_the_servers_own_passes_through_and_everything_else_is_judged() {
    const OWN: &str = "ghp_s3cr3tOfTheClients";
    let stack = stack(json!({
        "credential": { "static": { "secret": { "value": "fixed" }, "header": "x-api-key" } },
        "assertion": {},
        "passthrough": ["ghp_", "github_pat_"],
    }))
    .await;
    let client = Client::register(stack.url(), "Credentials").await;
    let token = client.login("ada").await.access_token;

    let spoofed =
        [("x-api-key", "mine"), ("x-portcullis-subject", "root"), ("x-portcullis-assertion", "mine")];
    let headers = seen(&stack, OWN, &spoofed).await;
    assert_eq!(text(&headers, "authorization"), format!("Bearer {OWN}"));
    for name in ["subject", "email", "client", "server", "provider", "scopes", "grant"] {
        assert_eq!(text(&headers, &format!("x-portcullis-{name}")), "", "{name}");
    }
    assert!(
        !headers.contains_key("x-api-key") && !headers.contains_key("x-portcullis-assertion"),
        "{headers:?}"
    );
    let headers = seen(&stack, &token, &spoofed).await;
    assert_eq!((text(&headers, "x-api-key"), text(&headers, "x-portcullis-subject")), ("fixed", "ada"));
    assert!(!headers.contains_key("authorization"));

    let mistyped = format!("{token}x");
    for refused in
        ["gho_another", "demo_at_provider", &mistyped, "pcl_at_made_up", "ghp_a,Bearer ghp_b", "ghp_a!"]
    {
        let answer = call(&stack, refused, &[]).await;
        assert_eq!(answer.status, 401, "{refused}: {answer:?}");
        assert!(answer.header("www-authenticate").is_some());
    }
    let twice = call(&stack, OWN, &[("authorization", &format!("Bearer {OWN}"))]).await;
    assert_eq!(twice.status, 401, "{twice:?}");
    assert!(stack.upstream().take().is_empty(), "something reached the MCP server");
    client.revoke(&token).await;
    until("the revoked token is refused", async || client.status(&token).await == StatusCode::UNAUTHORIZED)
        .await;
    seen(&stack, OWN, &[]).await;

    let id = TokenId::of(OWN).short();
    let id = format!(r#""token_id":"{id}""#);
    told(&stack, &[r#""reason":"passthrough""#, r#""decision":"allow""#, &id]).await;
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge] {
        assert!(!stack.log(part).contains("s3cr3t"), "{part:?}");
    }
}

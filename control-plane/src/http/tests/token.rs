use std::time::Duration;

use axum::http::{Request, header};
use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::token::{Code, Token};
use serde_json::json;

use super::harness::{DEMO, World};
use super::login::{REDIRECT, VERIFIER, basic, confidential, public, query};

const FORM: &str = "application/x-www-form-urlencoded";
const OTHER_VERIFIER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn a_code_brings_tokens_in_the_form_of_the_rfc() {
    let world = World::new();
    for metadata in [public(), confidential("client_secret_basic"), confidential("client_secret_post")] {
        let client = world.register(metadata).await;
        let code = world.log_in(&client, &[]).await;
        let params = [("redirect_uri", REDIRECT), ("resource", "HTTP://localhost:10000/demo/mcp/")];
        let answer = world.redeem(&client, &code, &params).await;
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let tokens = answer.tokens();
        assert!(tokens.access.starts_with("pcl_at_") && tokens.refresh.starts_with("pcl_rt_"));
        let expected = json!({
            "access_token": tokens.access,
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": tokens.refresh,
            "scope": "openid email",
        });
        assert_eq!(answer.json(), expected);
        let (token, _) = world.access_token(&tokens.access).await.unwrap();
        assert_eq!(token.expires_at.since(world.now()), Duration::from_hours(1));
    }
}

#[tokio::test]
async fn t04_a_missing_or_wrong_verifier_is_refused_and_consumes_nothing() {
    let world = World::new();
    for metadata in [public(), confidential("client_secret_basic")] {
        let client = world.register(metadata).await;
        let code = world.log_in(&client, &[]).await;
        for verifier in ["", "short", OTHER_VERIFIER] {
            let answer = world.redeem(&client, &code, &[("code_verifier", verifier)]).await;
            assert_eq!(answer.error(), (400, "invalid_grant".into()), "{verifier:?}");
        }
        world.redeem(&client, &code, &[]).await.tokens();
    }
}

#[tokio::test]
async fn t05_t16_a_redemption_that_is_not_the_codes_own_is_refused_and_consumes_nothing() {
    let world = World::serving(&[("demo", DEMO), ("other", "http://localhost:10000/other")]);
    let mut metadata = public();
    metadata["redirect_uris"] = json!([REDIRECT, "https://app.example/second"]);
    let (client, thief) = (world.register(metadata).await, world.register(public()).await);
    let code = world.log_in(&client, &[("resource", DEMO)]).await;
    for (name, value, error) in [
        ("redirect_uri", "https://app.example/second", "invalid_grant"),
        ("redirect_uri", "https://evil.example/", "invalid_grant"),
        ("resource", "http://localhost:10000/other", "invalid_target"),
        ("resource", "http://localhost:10000/nowhere", "invalid_target"),
        ("resource", "http://localhost:10000/demo/mcp#x", "invalid_target"),
    ] {
        let answer = world.redeem(&client, &code, &[(name, value)]).await;
        assert_eq!(answer.error(), (400, error.into()), "{name}={value}");
    }
    assert_eq!(world.redeem(&thief, &code, &[]).await.error(), (400, "invalid_grant".into()));
    world.redeem(&client, &code, &[("resource", DEMO)]).await.tokens();
}

#[tokio::test]
async fn t06_two_parallel_redemptions_of_one_code_give_one_answer_and_then_nothing() {
    let world = World::new();
    let client = world.register(public()).await;
    let code = world.log_in(&client, &[]).await;
    let redeem = || world.redeem(&client, &code, &[]);
    let (one, other) = tokio::join!(redeem(), redeem());
    let (good, bad) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!(bad.error(), (400, "invalid_grant".into()));
    assert!(world.access_token(&good.tokens().access).await.is_none(), "the second was a replay");
}

#[tokio::test]
async fn t06_a_replay_revokes_what_the_code_brought() {
    for late in [Duration::ZERO, Duration::from_mins(59)] {
        let world = World::new();
        let client = world.register(public()).await;
        let code = world.log_in(&client, &[]).await;
        let tokens = world.redeem(&client, &code, &[]).await.tokens();
        let bystander = world.tokens(&client).await;
        world.clock.advance(late);
        world.app.store.sweep(world.now(), 1000).await.unwrap();
        assert_eq!(world.redeem(&client, &code, &[]).await.error(), (400, "invalid_grant".into()));
        assert!(world.access_token(&tokens.access).await.is_none());
        assert_eq!(world.refresh(&client, &tokens.refresh, &[]).await.error(), (400, "invalid_grant".into()));
        assert!(world.access_token(&bystander.access).await.is_some(), "each login is its own grant");
        assert_eq!(world.revocations(), 1);
        // Once more changes nothing.
        world.redeem(&client, &code, &[]).await.error();
        assert_eq!(world.revocations(), 1);
    }
}

#[tokio::test]
async fn t06_whoever_stole_a_used_code_but_has_no_verifier_logs_nobody_out() {
    let world = World::new();
    let (client, thief) = (world.register(public()).await, world.register(public()).await);
    let code = world.log_in(&client, &[]).await;
    let tokens = world.redeem(&client, &code, &[]).await.tokens();
    world.redeem(&client, &code, &[("code_verifier", OTHER_VERIFIER)]).await.error();
    world.redeem(&thief, &code, &[]).await.error();
    assert!(world.access_token(&tokens.access).await.is_some());
}

#[tokio::test]
async fn a_code_is_good_for_a_minute() {
    let world = World::new();
    let client = world.register(public()).await;
    let (code, late) = (world.log_in(&client, &[]).await, world.log_in(&client, &[]).await);
    world.clock.advance(Duration::from_millis(59_999));
    world.redeem(&client, &code, &[]).await.tokens();
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.redeem(&client, &late, &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.revocations(), 0);
}

#[tokio::test]
async fn t07_a_made_up_code_or_token_changes_nothing() {
    let world = World::new();
    let client = world.register(public()).await;
    let tokens = world.tokens(&client).await;
    let made_up = Token::<Code>::generate(&SystemRandom);
    for code in [made_up.expose(), "pcl_ac_x", "", &tokens.access, &tokens.refresh] {
        let (status, error) = world.redeem(&client, code, &[]).await.error();
        assert_eq!((status, error == "invalid_grant" || code.is_empty()), (400, true), "{code}");
    }
    assert_eq!(world.refresh(&client, &tokens.access, &[]).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.revocations(), 0);
    assert!(world.access_token(&tokens.access).await.is_some());
}

#[tokio::test]
async fn t15_each_fault_has_the_code_of_the_rfc() {
    let world = World::new();
    let client = world.register(public()).await;
    let id = query(&[("client_id", &client.id)]);
    let code = query(&[("code", "x"), ("code_verifier", VERIFIER)]);
    for (form, status, error) in [
        (String::new(), 401, "invalid_client"),
        ("client_id=unknown&grant_type=authorization_code".into(), 401, "invalid_client"),
        (format!("{id}&client_secret=x&grant_type=authorization_code"), 401, "invalid_client"),
        (id.clone(), 400, "invalid_request"),
        (format!("{id}&grant_type="), 400, "invalid_request"),
        (format!("{id}&grant_type=password"), 400, "unsupported_grant_type"),
        (format!("{id}&grant_type=client_credentials"), 400, "unsupported_grant_type"),
        (format!("{id}&grant_type=authorization_code"), 400, "invalid_request"),
        (format!("{id}&grant_type=refresh_token"), 400, "invalid_request"),
        (format!("{id}&{code}&grant_type=authorization_code"), 400, "invalid_grant"),
        (format!("{id}&{id}&{code}&grant_type=authorization_code"), 400, "invalid_request"),
        (format!("{id}&grant_type=authorization_code&grant_type=refresh_token"), 400, "invalid_request"),
        (format!("{id}&grant_type=%ff"), 400, "invalid_request"),
    ] {
        let answer = world.post("/token", FORM, form.clone()).await;
        assert_eq!(answer.error(), (status, error.into()), "{form}");
        assert_eq!(!answer.header("www-authenticate").is_empty(), status == 401, "{form}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{form}");
    }
    let good = format!("{id}&{code}&grant_type=authorization_code");
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        let answer = world.post("/token", content_type, good.clone()).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{content_type}");
    }
    let bytes = [good.as_bytes(), b"&x=\xff"].concat();
    assert_eq!(world.post("/token", FORM, bytes).await.error(), (400, "invalid_request".into()));
    let untyped = world.send(Request::post("/token"), good).await;
    assert_eq!(untyped.error(), (400, "invalid_request".into()));
}

#[tokio::test]
async fn a_client_with_a_secret_authenticates_in_the_one_way_that_it_registered() {
    let world = World::new();
    let by_header = world.register(confidential("client_secret_basic")).await;
    let by_form = world.register(confidential("client_secret_post")).await;
    let code = world.log_in(&by_header, &[]).await;
    let form = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let secret = by_header.secret.as_deref().unwrap();
    let other = by_form.secret.as_deref().unwrap();
    let header = basic(&by_header.id, secret);

    for (what, authorizations, extra, error) in [
        ("nothing", vec![], vec![], "invalid_client"),
        ("no secret", vec![], vec![("client_id", by_header.id.as_str())], "invalid_client"),
        (
            "by the form",
            vec![],
            vec![("client_id", by_header.id.as_str()), ("client_secret", secret)],
            "invalid_client",
        ),
        ("another's secret", vec![basic(&by_header.id, other)], vec![], "invalid_client"),
        ("no colon", vec!["Basic eA==".to_owned()], vec![], "invalid_client"),
        ("no base64", vec!["Basic \u{7f}".replace('\u{7f}', "%")], vec![], "invalid_client"),
        ("another scheme", vec![format!("Bearer {secret}")], vec![], "invalid_client"),
        ("both ways", vec![header.clone()], vec![("client_secret", secret)], "invalid_request"),
        ("two ids", vec![header.clone()], vec![("client_id", by_form.id.as_str())], "invalid_request"),
        ("two headers", vec![header.clone(), header.clone()], vec![], "invalid_request"),
    ] {
        let mut request = Request::post("/token").header(header::CONTENT_TYPE, FORM);
        for value in &authorizations {
            request = request.header(header::AUTHORIZATION, value);
        }
        let form: Vec<_> = form.iter().copied().chain(extra).collect();
        let answer = world.send(request, query(&form)).await;
        let status = if error == "invalid_client" { 401 } else { 400 };
        assert_eq!(answer.error(), (status, error.into()), "{what}");
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), "Basic realm=\"portcullis\"", "{what}");
        }
    }
    let same_id = [("client_id", by_header.id.as_str())];
    let named_twice: Vec<_> = form.iter().copied().chain(same_id).collect();
    world.post_as(&by_header, "/token", &named_twice).await.tokens();
}

#[tokio::test]
async fn t20_a_revoked_grants_code_is_worthless() {
    let world = World::new();
    let client = world.register(public()).await;
    let code = world.log_in(&client, &[]).await;
    let grant: GrantId = world.app.store.grants(None, 1).await.unwrap().remove(0).id;
    let entry = world.app.revoke(portcullis_proto::revocation::Scope::Grant(grant), "test").await.unwrap();
    assert_eq!(entry.sequence, Sequence(1));
    assert_eq!(world.redeem(&client, &code, &[]).await.error(), (400, "invalid_grant".into()));
}

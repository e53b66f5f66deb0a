use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::provider::testing::{
    FakeProvider, MARK, NOW, Reply, acting, error_of, http, login, secret, token_answer,
};

/// What a refresh comes to where the token endpoint gives this answer.
async fn refresh(reply: impl Into<Reply>) -> Result<ProviderTokens, ProviderError> {
    let fake = FakeProvider::start().await;
    fake.reply("/token", reply);
    let (url, http) = (fake.url("/token"), http());
    TokenEndpoint::new(&url, acting(), &http).refresh(&secret("refresh"), NOW).await
}

fn malformed(why: &str) -> ProviderError {
    ProviderError::Malformed(why.into())
}

fn refused(why: &str) -> ProviderError {
    ProviderError::Refused(why.into())
}

#[tokio::test]
async fn t23_invalid_grant_is_final_whatever_the_status() {
    let body = json!({ "error": "invalid_grant", "error_description": "s3cr3t-refresh is dead" });
    for status in [200, 400, 401, 403] {
        assert_eq!(error_of(refresh(Reply::error(status, body.clone())).await), ProviderError::InvalidGrant);
    }
}

#[tokio::test]
async fn t23_a_broken_or_busy_provider_says_nothing_about_the_grant() {
    let body = json!({ "error": "invalid_grant" });
    for status in [500, 502, 503, 504, 429, 408] {
        let error = error_of(refresh(Reply::error(status, body.clone())).await);
        assert_eq!(error, ProviderError::Unreachable(format!("HTTP {status}")));
    }
}

#[tokio::test]
async fn t23_an_error_with_200_is_an_error() {
    let body = json!({ "error": "bad_refresh_token", "error_description": "s3cr3t", "error_uri": "s3cr3t" });
    assert_eq!(error_of(refresh(body).await), refused("bad_refresh_token"));

    let mut both = token_answer();
    both["error"] = "invalid_scope".into();
    assert_eq!(error_of(refresh(both).await), refused("invalid_scope"));
}

#[tokio::test]
async fn error_codes_are_cut_and_odd_ones_are_not_repeated() {
    let error = |code: &str| refresh(Reply::error(400, json!({ "error": code })));
    assert_eq!(error_of(error("invalid_client").await), refused("invalid_client"));
    assert_eq!(error_of(error(&"x".repeat(100)).await), refused(&"x".repeat(64)));
    for odd in ["a\nb", "<b>\"", "é"] {
        assert_eq!(error_of(error(odd).await), refused("an error code with characters that none has"));
    }
}

#[tokio::test]
async fn refusals_without_an_oauth_error_show_their_status() {
    for status in [400, 401, 403, 404, 201] {
        let error = error_of(refresh(Reply::status(status, "<html>s3cr3t</html>")).await);
        assert_eq!(error, refused(&format!("HTTP {status}")));
    }
}

#[tokio::test]
async fn answers_that_are_no_token_response_are_malformed() {
    let html = Reply::status(200, "<html>s3cr3t</html>");
    let mislabelled = Reply { body: token_answer().to_string().into_bytes(), ..html.clone() };
    let with = |name: &str, value: Value| {
        let mut answer = token_answer();
        answer[name] = value;
        answer.into()
    };
    let cases = [
        html,
        mislabelled,
        Reply::from(json!("s3cr3t")),
        json!({}).into(),
        json!({ "token_type": "Bearer" }).into(),
        json!({ "access_token": "s3cr3t" }).into(),
        with("access_token", json!(["s3cr3t"])),
        with("expires_in", json!("s3cr3t")),
        with("expires_in", json!(-1)),
        Reply { body: br#"{"access_token":"s3cr3t"#.to_vec(), ..json!({}).into() },
        Reply { body: Vec::new(), ..json!({}).into() },
    ];
    for reply in cases {
        let body = String::from_utf8(reply.body.clone()).unwrap();
        let why = "the token endpoint's answer is not the JSON that it must be";
        assert_eq!(error_of(refresh(reply).await), malformed(why), "{body}");
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_used_are_refused() {
    let with = |name: &str, value: &str| {
        let mut answer = token_answer();
        answer[name] = value.into();
        refresh(answer)
    };
    for kind in ["DPoP", "mac", ""] {
        assert_eq!(error_of(with("token_type", kind).await), malformed("token_type is not Bearer"));
    }
    for token in ["", "s3cr3t\r\nx-evil: 1", "s3cr3t token", "s3cr3té"] {
        let why = "access_token is empty or fits in no header";
        assert_eq!(error_of(with("access_token", token).await), malformed(why));
    }
}

#[tokio::test]
async fn a_code_is_exchanged_without_an_id_token_being_shown() {
    let fake = FakeProvider::start().await;
    let mut answer = token_answer();
    answer["id_token"] = "s3cr3t.id.token".into();
    fake.reply("/token", answer);
    let (url, http) = (fake.url("/token"), http());
    let endpoint = TokenEndpoint::new(&url, acting(), &http);

    let exchanged = endpoint.exchange(&secret("code"), &login(), NOW).await.unwrap();

    assert_eq!(exchanged.expires_at, Some(NOW.after(Duration::from_hours(1))));
    assert_eq!(exchanged.id_token.as_ref().unwrap().expose_secret(), "s3cr3t.id.token");
    assert!(!format!("{exchanged:?}").contains(MARK));
}

#[test]
fn t23_an_error_that_is_there_twice_is_heard() {
    let body = br#"{"access_token":"a","token_type":"Bearer","error":"one","error":"another"}"#;
    let answer = http::Response::builder().status(200).body(body.to_vec()).unwrap();
    assert!(matches!(super::screen(answer), Err(ProviderError::Refused(error)) if error == "another"));
}

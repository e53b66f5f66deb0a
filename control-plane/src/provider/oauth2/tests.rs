use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::provider::Settings;
use crate::provider::testing::{
    FakeProvider, MARK, NOW, Reply, acting, app, error_of, http, login, questions, secret, token_answer,
};

/// Settings as for GitHub: users have numbers.
fn settings(fake: &FakeProvider) -> OAuth2Settings {
    OAuth2Settings {
        authorization_endpoint: fake.url("/authorize?tenant=t"),
        token_endpoint: fake.url("/token"),
        userinfo_endpoint: fake.url("/user"),
        subject_member: "id".into(),
        email_member: "mail".into(),
        registration_endpoint: None,
        issuer: None,
        app: App { scopes: vec!["user:email".into()], ..app() },
    }
}

fn provider(fake: &FakeProvider) -> Arc<dyn Provider> {
    Settings::OAuth2(settings(fake)).connect(http())
}

/// Who the user is where userinfo gives this answer.
async fn identity(user: impl Into<Reply>) -> Result<Identity, ProviderError> {
    let fake = FakeProvider::start().await;
    fake.reply("/token", token_answer());
    fake.reply("/user", user);
    let (identity, tokens) = provider(&fake).exchange(&secret("code"), &login(), NOW).await?;
    assert_eq!(tokens.access_token.expose_secret(), "s3cr3t-access");
    assert_eq!(fake.request("/user").headers["authorization"], "Bearer s3cr3t-access");
    Ok(identity)
}

#[tokio::test]
async fn the_browser_is_sent_without_what_is_of_openid_only() {
    let fake = FakeProvider::start().await;
    let scopes = ["repo".to_owned()];
    let url = provider(&fake).authorization_url(&Login { scopes: &scopes, ..login() }).await.unwrap();
    let query: Vec<_> = url.query_pairs().into_owned().collect();
    let value = |name: &str| query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!(value("tenant"), Some("t"), "the endpoint's own query stays (RFC 6749 section 3.1)");
    assert_eq!(value("scope"), Some("user:email repo"));
    assert_eq!(value("state"), Some(login().state));
    assert_eq!(value("code_challenge_method"), Some("S256"));
    assert_eq!(value("nonce"), None);
    assert!(!url.as_str().contains(MARK), "{url}");
}

#[tokio::test]
async fn userinfo_says_who_the_user_is() {
    let numbered =
        identity(json!({ "id": 583_231, "mail": "octo@example.com", "name": "Octo" })).await.unwrap();
    let expected = Identity {
        subject: Subject::new("583231"),
        email: Some("octo@example.com".into()),
        facts: Facts::default(),
    };
    assert_eq!(numbered, expected);

    let named = identity(json!({ "id": "u-1", "mail": null })).await.unwrap();
    assert_eq!(named, Identity { subject: Subject::new("u-1"), email: None, facts: Facts::default() });

    let largest = identity(json!({ "id": u64::MAX })).await.unwrap();
    assert_eq!(largest.subject.as_str(), "18446744073709551615");
}

#[tokio::test]
async fn without_an_identifier_nobody_is_logged_in() {
    let bodies = [
        json!({}),
        json!({ "sub": "s3cr3t" }),
        json!({ "id": "" }),
        json!({ "id": null }),
        json!({ "id": true }),
        json!({ "id": 1.5 }),
        json!({ "id": 1e30 }),
        json!({ "id": ["s3cr3t"] }),
        json!({ "id": "s3cr3t\n" }),
    ];
    for body in bodies {
        let shown = body.to_string();
        let why = ProviderError::Malformed("userinfo has no identifier in `id`".into());
        assert_eq!(error_of(identity(body).await), why, "{shown}");
    }
}

#[tokio::test]
async fn without_userinfo_nobody_is_logged_in() {
    let malformed = ProviderError::Malformed("userinfo is not the JSON that it must be".into());
    assert_eq!(error_of(identity(Reply::status(200, "s3cr3t")).await), malformed);
    assert_eq!(error_of(identity(json!(["s3cr3t"])).await), malformed);
    let refused = ProviderError::Refused("userinfo: HTTP 401".into());
    assert_eq!(error_of(identity(Reply::status(401, "s3cr3t")).await), refused);
    let unreachable = ProviderError::Unreachable("userinfo: HTTP 502".into());
    assert_eq!(error_of(identity(Reply::status(502, "s3cr3t")).await), unreachable);
}

#[tokio::test]
async fn a_refused_code_asks_nobody_who_the_user_is() {
    let fake = FakeProvider::start().await;
    fake.reply("/token", Reply::error(400, json!({ "error": "invalid_grant" })));
    let error = error_of(provider(&fake).exchange(&secret("code"), &login(), NOW).await);
    assert_eq!(error, ProviderError::InvalidGrant);
    assert!(fake.requests("/user").is_empty());
}

#[tokio::test]
async fn a_refresh_brings_new_tokens() {
    let fake = FakeProvider::start().await;
    fake.reply("/token", token_answer());
    let tokens = provider(&fake).refresh(&secret("refresh"), acting(), NOW).await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "s3cr3t-access");
    assert_eq!(fake.request("/token").form["refresh_token"], "s3cr3t-refresh");
}

#[tokio::test]
async fn t13_iss_is_checked_where_it_is_known_and_sent() {
    let fake = FakeProvider::start().await;
    let issuer = "https://idp.example";
    let known = Settings::OAuth2(OAuth2Settings { issuer: Some(issuer.into()), ..settings(&fake) });
    let known = known.connect(http());
    assert_eq!(known.check_issuer(Some(issuer)).await, Ok(()));
    assert_eq!(known.check_issuer(None).await, Ok(()));
    assert_eq!(known.check_issuer(Some("https://evil.example")).await, Err(ProviderError::Issuer));
    assert_eq!(provider(&fake).check_issuer(Some("https://any.example")).await, Ok(()));
}

#[tokio::test]
async fn t18_no_debug_output_shows_a_secret_of_oauth2() {
    let fake = FakeProvider::start().await;
    let oauth2 = OAuth2::new(settings(&fake), http());
    assert!(!format!("{oauth2:?}").contains(MARK));
}

#[tokio::test]
async fn userinfos_members_are_the_claims_after_a_login_and_after_a_refresh() {
    let fake = FakeProvider::start().await;
    let provider = provider(&fake);
    let questions = questions(&["teams"], &[]);
    fake.reply("/token", token_answer());
    for (verified, expected) in
        [(json!(true), true), (json!("true"), true), (json!(false), false), (json!(null), false)]
    {
        let user = json!({ "id": 1, "mail": "octo@example.com", "email": "octo@example.com", "email_verified": verified, "teams": ["a", "b"] });
        fake.reply("/user", user);
        let login = Login { questions: &questions, ..login() };
        let (identity, _) = provider.exchange(&secret("code"), &login, NOW).await.unwrap();
        let facts = Facts {
            email_verified: expected,
            claims: [("teams".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into(),
            ..Facts::default()
        };
        assert_eq!(identity.facts, facts);
        let tokens = provider.refresh(&secret("refresh"), acting(), NOW).await.unwrap();
        assert_eq!(provider.identify(&tokens, acting(), &questions, NOW).await, Ok(Some(identity)));
    }
    // What is verified is the address in `email`, and this one is another.
    for other in [json!("me@evil.example"), json!(null)] {
        fake.reply(
            "/user",
            json!({ "id": 1, "mail": "boss@example.com", "email": other, "email_verified": true }),
        );
        let (identity, _) = provider.exchange(&secret("code"), &login(), NOW).await.unwrap();
        assert!(!identity.facts.email_verified);
    }
    fake.reply("/user", Reply::status(503, "s3cr3t"));
    let tokens = provider.refresh(&secret("refresh"), acting(), NOW).await.unwrap();
    let error = error_of(provider.identify(&tokens, acting(), &questions, NOW).await);
    assert_eq!(error, ProviderError::Unreachable("userinfo: HTTP 503".into()));
}

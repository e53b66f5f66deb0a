use portcullis_proto::ids::Subject;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::oauth::admission::Facts;
use crate::provider::testing::{
    FakeProvider, MARK, NOW, SigningKey, acting, app, claims, error_of, http, login, query, questions,
    secret, token_answer,
};
use crate::provider::{Login, Provider, ProviderTokens};

struct World {
    fake: FakeProvider,
    key: SigningKey,
    google: Oidc,
}

impl World {
    async fn new(hosted_domain: Option<&str>) -> Self {
        Self::with(hosted_domain, app()).await
    }

    async fn with(hosted_domain: Option<&str>, app: App) -> Self {
        let fake = FakeProvider::start().await;
        let key = SigningKey::es256("2024");
        fake.discover("", &json!({}));
        fake.reply("/jwks", json!({ "keys": [key.jwk()] }));
        let hosted_domain = hosted_domain.map(ToOwned::to_owned);
        let settings = GoogleSettings { issuer: fake.issuer.clone(), hosted_domain, app };
        Self { google: settings.connect(http()), fake, key }
    }

    /// What a login comes to with these claims changed; `null` removes one.
    async fn exchange(&self, changes: Value) -> Result<(Identity, ProviderTokens), ProviderError> {
        let mut claims = claims(&self.fake.issuer);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.fake.answer_with(&self.key.sign(&claims));
        self.google.exchange(&secret("code"), &login(), NOW).await
    }
}

#[tokio::test]
async fn offline_access_and_consent_are_asked_for_and_scopes_are_urls() {
    let scopes = vec!["https://www.googleapis.com/auth/calendar.readonly".to_owned()];
    let world = World::with(None, App { scopes, ..app() }).await;
    let url = world.google.authorization_url(&login()).await.unwrap();
    let query = query(&url);
    assert_eq!(query["access_type"], "offline");
    assert_eq!(query["prompt"], "consent");
    assert_eq!(query["scope"], "openid https://www.googleapis.com/auth/calendar.readonly");
    assert_eq!(query.get("hd"), None);
    assert!(!url.as_str().contains(MARK), "{url}");
}

#[tokio::test]
async fn another_prompt_can_be_configured() {
    let prompt = ("prompt".to_owned(), "consent select_account".to_owned());
    let world = World::with(None, App { authorize_parameters: vec![prompt], ..app() }).await;
    let query = query(&world.google.authorization_url(&login()).await.unwrap());
    assert_eq!(query["prompt"], "consent select_account");
}

#[tokio::test]
async fn anybody_may_log_in_where_no_domain_is_configured() {
    let world = World::new(None).await;
    let (identity, tokens) = world.exchange(json!({})).await.unwrap();
    let jane = Identity {
        subject: Subject::new("248289761001"),
        email: Some("jane@example.com".into()),
        facts: Facts::default(),
    };
    assert_eq!(identity, jane);
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "s3cr3t-refresh");
}

#[tokio::test]
async fn the_hosted_domain_is_asked_for_and_checked() {
    let world = World::new(Some("example.com")).await;
    let query = query(&world.google.authorization_url(&login()).await.unwrap());
    assert_eq!(query["hd"], "example.com");

    for good in ["example.com", "EXAMPLE.com"] {
        world.exchange(json!({ "hd": good })).await.unwrap();
    }
    // What the browser changed, or an account that has only an address in the domain.
    for bad in
        [json!(null), json!(""), json!("evil.example"), json!("sub.example.com"), json!(["example.com"])]
    {
        let error = error_of(world.exchange(json!({ "hd": bad })).await);
        let text = "the account is not one of the domain example.com";
        assert_eq!(error, ProviderError::NotAllowed(text.into()), "{bad}");
    }
}

#[tokio::test]
async fn t13_googles_iss_is_checked_and_must_come_where_google_says_so() {
    let world = World::new(None).await;
    let issuer = world.fake.issuer.clone();
    assert_eq!(world.google.check_issuer(Some(&issuer)).await, Ok(()));
    assert!(world.google.is_issuer(&issuer));
    assert_eq!(world.google.check_issuer(None).await, Ok(()), "it does not say that it sends one");
    // The older name is for ID tokens only.
    let slash = format!("{issuer}/");
    for wrong in ["https://evil.example", OLD_ISSUER, "https://accounts.google.com", &slash, ""] {
        assert_eq!(world.google.check_issuer(Some(wrong)).await, Err(ProviderError::Issuer), "{wrong}");
        assert!(!world.google.is_issuer(wrong), "{wrong}");
    }
    let world = World::new(None).await;
    world.fake.discover("", &json!({ "authorization_response_iss_parameter_supported": true }));
    assert_eq!(world.google.check_issuer(None).await, Err(ProviderError::Issuer));
    assert_eq!(world.google.check_issuer(Some(&world.fake.issuer)).await, Ok(()));
}

#[tokio::test]
async fn the_issuer_of_older_tokens_is_google_too_and_no_other() {
    let world = World::new(None).await;
    world.exchange(json!({ "iss": "accounts.google.com" })).await.unwrap();
    for iss in ["https://evil.example", "accounts.google.com.evil.example", ""] {
        let error = error_of(world.exchange(json!({ "iss": iss })).await);
        assert_eq!(error, ProviderError::IdToken("iss is another's".into()), "{iss}");
    }
}

#[tokio::test]
async fn t23_a_refresh_without_a_refresh_token_leaves_the_old_one() {
    let world = World::new(None).await;
    let mut answer = token_answer();
    answer.as_object_mut().unwrap().remove("refresh_token");
    world.fake.reply("/token", answer);
    let tokens = world.google.refresh(&secret("refresh"), acting(), NOW).await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "s3cr3t-access");
    assert!(tokens.refresh_token.is_none(), "whoever refreshes keeps the one it has");
}

#[tokio::test]
async fn t23_withdrawn_consent_is_final() {
    let world = World::new(None).await;
    let body = json!({ "error": "invalid_grant", "error_description": "Token has been expired or revoked." });
    world.fake.reply("/token", crate::provider::testing::Reply::error(400, body));
    assert_eq!(
        error_of(world.google.refresh(&secret("refresh"), acting(), NOW).await),
        ProviderError::InvalidGrant
    );
}

// === rules of a server ===

impl World {
    /// What is known of a user with these claims, after a login and after a refresh: the same.
    async fn facts(&self, changes: Value) -> Facts {
        let questions = questions(&[], &["example.com"]);
        self.exchange(changes).await.unwrap();
        let login = Login { questions: &questions, ..login() };
        let (identity, _) = self.google.exchange(&secret("code"), &login, NOW).await.unwrap();
        let tokens = self.google.refresh(&secret("refresh"), acting(), NOW).await.unwrap();
        assert_eq!(
            self.google.identify(&tokens, acting(), &questions, NOW).await,
            Ok(Some(identity.clone()))
        );
        identity.facts
    }
}

#[tokio::test]
async fn the_organization_is_the_hosted_domain() {
    let world = World::new(None).await;
    let facts = world.facts(json!({ "hd": "Example.com", "email_verified": true })).await;
    assert_eq!(facts.organizations, ["example.com".to_owned()].into());
    for hd in [json!(null), json!(""), json!(["example.com"]), json!(1)] {
        assert!(world.facts(json!({ "hd": hd, "email_verified": true })).await.organizations.is_empty());
    }
}

#[tokio::test]
async fn an_address_is_verified_only_where_google_hosts_it() {
    let world = World::new(None).await;
    world.fake.reply("/userinfo", json!({ "sub": "248289761001" }));
    for (email, hd, said, verified) in [
        ("jane@example.com", json!("example.com"), json!(true), true),
        ("jane@alias.example", json!("example.com"), json!(true), true),
        ("jane@gmail.com", json!(null), json!(true), true),
        ("jane@example.com", json!(null), json!(true), false),
        ("jane@gmail.com.evil.example", json!(null), json!(true), false),
        ("jane@example.com", json!("example.com"), json!(false), false),
        ("jane@example.com", json!("example.com"), json!(null), false),
    ] {
        let facts = world.facts(json!({ "email": email, "hd": hd, "email_verified": said })).await;
        assert_eq!(facts.email_verified, verified, "{email} {hd} {said}");
    }
}

#[tokio::test]
async fn a_refresh_without_an_id_token_is_asked_about_at_userinfo() {
    let world = World::new(Some("example.com")).await;
    world.fake.reply("/token", token_answer());
    let tokens = world.google.refresh(&secret("refresh"), acting(), NOW).await.unwrap();
    let of = |hd: &str| json!({ "sub": "248289761001", "email": "jane@example.com", "email_verified": true, "hd": hd });
    world.fake.reply("/userinfo", of("example.com"));
    let identity =
        world.google.identify(&tokens, acting(), &questions(&[], &[]), NOW).await.unwrap().unwrap();
    assert_eq!(identity.facts.organizations, ["example.com".to_owned()].into());
    world.fake.reply("/userinfo", of("other.example"));
    let error = error_of(world.google.identify(&tokens, acting(), &questions(&[], &[]), NOW).await);
    assert!(matches!(error, ProviderError::NotAllowed(_)), "{error}");
}

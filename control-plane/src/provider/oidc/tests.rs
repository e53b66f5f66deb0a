use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::provider::ClientAuth;
use crate::provider::testing::{
    CLIENT_ID, FakeProvider, MARK, NONCE, NOW, Reply, SigningKey, app, error_of, http, login, pass, secret,
    token_answer,
};

/// A provider where all is well, until a test says otherwise.
struct World {
    fake: FakeProvider,
    key: SigningKey,
    oidc: Oidc,
}

impl World {
    async fn new() -> Self {
        Self::with(app()).await
    }

    async fn with(app: App) -> Self {
        let fake = FakeProvider::start().await;
        let key = SigningKey::es256("2024");
        let oidc = Oidc::new(OidcSettings { issuer: fake.issuer.clone(), app }, http());
        let world = Self { fake, key, oidc };
        world.discover(&json!({}));
        world.fake.reply("/jwks", json!({ "keys": [world.key.jwk()] }));
        world.answer_with(&world.key.sign(&world.claims()));
        world
    }

    /// Changes members of the discovery document.
    fn discover(&self, changes: &Value) {
        let mut document = json!({
            "issuer": self.fake.issuer,
            "authorization_endpoint": self.fake.url("/authorize"),
            "token_endpoint": self.fake.url("/token"),
            "jwks_uri": self.fake.url("/jwks"),
            "userinfo_endpoint": self.fake.url("/userinfo"),
            "response_types_supported": ["code"],
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.fake.reply(DISCOVERY, document);
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.fake.issuer,
            "sub": "248289761001",
            "aud": CLIENT_ID,
            "exp": NOW.as_secs() + 300,
            "iat": NOW.as_secs(),
            "nonce": NONCE,
            "email": "jane@example.com",
        })
    }

    /// Lets the token endpoint answer with this ID token.
    fn answer_with(&self, id_token: &str) {
        let mut answer = token_answer();
        answer["id_token"] = id_token.into();
        self.fake.reply("/token", answer);
    }

    async fn exchange(&self) -> Result<(Identity, ProviderTokens), ProviderError> {
        self.oidc.exchange(&secret("code"), &login(), NOW).await
    }

    async fn refresh(&self) -> Result<ProviderTokens, ProviderError> {
        self.oidc.refresh(&secret("refresh"), NOW).await
    }
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn query(url: &Url) -> HashMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no parameter comes twice: {url}");
    map
}

fn unreachable(why: &str) -> ProviderError {
    ProviderError::Unreachable(why.into())
}

// === the browser's way there and back ===

#[tokio::test]
async fn the_browser_is_sent_with_pkce_state_and_nonce() {
    let world = World::with(App {
        scopes: vec!["email".into(), "offline_access".into()],
        authorize_parameters: vec![
            ("prompt".into(), "consent".into()),
            ("state".into(), "mine".into()),
            ("request_uri".into(), "https://evil.example".into()),
        ],
        ..app()
    })
    .await;
    let scopes = ["openid".to_owned(), "repo".to_owned(), "email".to_owned()];
    let login = Login { scopes: &scopes, ..login() };

    let url = world.oidc.authorization_url(&login).await.unwrap();

    assert!(url.as_str().starts_with(world.fake.url("/authorize?").as_str()), "{url}");
    let query = query(&url);
    let expected = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", "https://portcullis.example/callback"),
        ("scope", "openid email offline_access repo"),
        ("state", login.state),
        ("nonce", NONCE),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ];
    for (name, value) in expected {
        assert_eq!(query[name], value, "{name}");
    }
    let challenge = crate::oauth::pkce::CodeChallenge::of(login.verifier);
    assert_eq!(query["code_challenge"], challenge.as_str());
    assert_eq!(query.len(), expected.len() + 1);
    assert!(!url.as_str().contains(MARK), "neither verifier nor client secret is in it: {url}");
}

#[tokio::test]
async fn t13_iss_of_an_authorization_response_is_checked() {
    let world = World::new().await;
    let issuer = world.fake.issuer.clone();
    assert_eq!(world.oidc.check_issuer(None).await, Ok(()));
    assert_eq!(world.oidc.check_issuer(Some(&issuer)).await, Ok(()));
    for wrong in ["https://evil.example", "", &format!("{issuer}/")] {
        assert_eq!(world.oidc.check_issuer(Some(wrong)).await, Err(ProviderError::Issuer));
    }
}

#[tokio::test]
async fn t13_iss_must_come_where_the_provider_says_that_it_sends_it() {
    let world = World::new().await;
    world.discover(&json!({ "authorization_response_iss_parameter_supported": true }));
    assert_eq!(world.oidc.check_issuer(None).await, Err(ProviderError::Issuer));
    assert_eq!(world.oidc.check_issuer(Some(&world.fake.issuer)).await, Ok(()));
}

// === discovery ===

#[tokio::test]
async fn discovery_is_asked_once_by_a_crowd_and_again_after_an_hour() {
    let world = World::new().await;
    let mut crowd = tokio::task::JoinSet::new();
    let oidc = Arc::new(world.oidc);
    for _ in 0..20 {
        let oidc = Arc::clone(&oidc);
        crowd.spawn(async move { oidc.authorization_url(&login()).await });
    }
    for url in crowd.join_all().await {
        url.unwrap();
    }
    assert_eq!(world.fake.requests(DISCOVERY).len(), 1);

    pass(Duration::from_hours(1)).await;
    oidc.authorization_url(&login()).await.unwrap();
    assert_eq!(world.fake.requests(DISCOVERY).len(), 2);
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_seldom_and_found_when_it_is_back() {
    let world = World::new().await;
    world.fake.reply(DISCOVERY, Reply::status(503, "s3cr3t"));
    for _ in 0..3 {
        let error = error_of(world.oidc.authorization_url(&login()).await);
        assert_eq!(error, unreachable("the discovery document: HTTP 503"));
    }
    assert_eq!(world.fake.requests(DISCOVERY).len(), 1);

    world.discover(&json!({}));
    pass(Duration::from_secs(5)).await;
    world.oidc.authorization_url(&login()).await.unwrap();
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    for wrong in ["https://evil.example".to_owned(), String::new()] {
        let world = World::new().await;
        world.discover(&json!({ "issuer": wrong }));
        let error = error_of(world.oidc.authorization_url(&login()).await);
        let text = format!("`issuer` of the discovery document is not {} to the letter", world.fake.issuer);
        assert_eq!(error, ProviderError::Malformed(text));
    }
}

#[tokio::test]
async fn endpoints_without_https_are_refused() {
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        for url in [
            "http://idp.example/x",
            "javascript:alert(1)",
            "ftp://127.0.0.1/x",
            "http://127.0.0.1.evil.example/",
        ] {
            let world = World::new().await;
            world.discover(&json!({ name: url }));
            let error = error_of(world.oidc.authorization_url(&login()).await);
            let text = "the discovery document has an endpoint without https";
            assert_eq!(error, ProviderError::Malformed(text.into()), "{name} {url}");
        }
    }
}

// === the exchange ===

#[tokio::test]
async fn a_code_brings_the_user_and_the_tokens() {
    let world = World::new().await;
    let (identity, tokens) = world.exchange().await.unwrap();

    let jane = Identity { subject: Subject::new("248289761001"), email: Some("jane@example.com".into()) };
    assert_eq!(identity, jane);
    assert_eq!(tokens.access_token.expose_secret(), "s3cr3t-access");
    assert_eq!(tokens.refresh_token.as_ref().unwrap().expose_secret(), "s3cr3t-refresh");
    assert_eq!(tokens.expires_at, Some(NOW.after(Duration::from_hours(1))));

    let request = world.fake.request("/token");
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "s3cr3t-code"),
        ("redirect_uri", "https://portcullis.example/callback"),
        ("code_verifier", login().verifier),
    ];
    assert_eq!(request.form, expected.map(|(name, value)| (name.into(), value.into())).into());
    // portcullis:s3cr3t-client
    assert_eq!(request.headers["authorization"], "Basic cG9ydGN1bGxpczpzM2NyM3QtY2xpZW50");
    let agent = request.headers["user-agent"].to_str().unwrap();
    assert_eq!(agent, concat!("portcullis/", env!("CARGO_PKG_VERSION")));
    assert!(world.fake.requests("/userinfo").is_empty(), "the ID token has said it all");
}

#[tokio::test]
async fn client_secret_post_puts_the_secret_into_the_form() {
    let world = World::with(App { client_auth: ClientAuth::Post, ..app() }).await;
    world.exchange().await.unwrap();
    let request = world.fake.request("/token");
    assert_eq!(request.form["client_id"], CLIENT_ID);
    assert_eq!(request.form["client_secret"], "s3cr3t-client");
    assert!(!request.headers.contains_key("authorization"));
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let world = World::new().await;
    let changed = |name: &str, value: Value| {
        let mut claims = world.claims();
        claims[name] = value;
        claims
    };
    let cases = [
        (changed("iss", json!("https://evil.example")), "iss is another's"),
        (changed("aud", json!("another")), "aud is another's"),
        (changed("azp", json!("another")), "azp is another's"),
        (changed("nonce", json!("n-another")), "nonce is not this login's"),
        (changed("exp", json!(NOW.as_secs() - 60)), "it has expired"),
    ];
    for (claims, why) in cases {
        world.answer_with(&world.key.sign(&claims));
        assert_eq!(error_of(world.exchange().await), ProviderError::IdToken(why.into()));
    }
}

#[tokio::test]
async fn a_login_without_an_id_token_is_none() {
    let world = World::new().await;
    world.fake.reply("/token", token_answer());
    assert_eq!(error_of(world.exchange().await), ProviderError::IdToken("there is none".into()));
    world.answer_with("s3cr3t.s3cr3t.s3cr3t");
    assert!(matches!(error_of(world.exchange().await), ProviderError::IdToken(_)));
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_unknown_keys_make_no_storm() {
    let mut world = World::new().await;
    world.exchange().await.unwrap();
    let fetched = |world: &World| world.fake.requests("/jwks").len();
    assert_eq!(fetched(&world), 1);

    world.key = SigningKey::es256("2025");
    world.answer_with(&world.key.sign(&world.claims()));
    world.fake.reply("/jwks", json!({ "keys": [world.key.jwk()] }));
    let unknown = ProviderError::IdToken("its key is not in the provider's key set".into());
    assert_eq!(error_of(world.exchange().await), unknown, "the key set is younger than a minute");
    assert_eq!(fetched(&world), 1);

    pass(UNKNOWN_KEY_INTERVAL).await;
    let (a, b, c) = tokio::join!(world.exchange(), world.exchange(), world.exchange());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(fetched(&world), 2);

    world.answer_with(&SigningKey::es256("2026").sign(&world.claims()));
    for _ in 0..5 {
        assert_eq!(error_of(world.exchange().await), unknown);
    }
    assert_eq!(fetched(&world), 2);
}

// === the e-mail address ===

#[tokio::test]
async fn userinfo_names_the_email_that_the_id_token_lacks() {
    let world = World::new().await;
    let mut claims = world.claims();
    claims.as_object_mut().unwrap().remove("email");
    world.answer_with(&world.key.sign(&claims));

    let cases = [
        (json!({ "sub": "248289761001", "email": "jane@example.com" }).into(), Some("jane@example.com")),
        (json!({ "sub": "another", "email": "mallory@example.com" }).into(), None),
        (json!({ "email": "mallory@example.com" }).into(), None),
        (json!({ "sub": "248289761001" }).into(), None),
        (Reply::status(500, "s3cr3t"), None),
        (Reply::status(200, "<html>"), None),
    ];
    for (reply, email) in cases {
        world.fake.reply("/userinfo", reply);
        let (identity, _) = world.exchange().await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.email.as_deref()), ("248289761001", email));
    }
    assert_eq!(world.fake.requests("/userinfo")[0].headers["authorization"], "Bearer s3cr3t-access");
}

#[tokio::test]
async fn userinfo_is_not_asked_for_an_email_that_nobody_wants() {
    let world = World::with(App { scopes: vec!["openid".into()], ..app() }).await;
    let mut claims = world.claims();
    claims.as_object_mut().unwrap().remove("email");
    world.answer_with(&world.key.sign(&claims));
    assert_eq!(world.exchange().await.unwrap().0.email, None);
    assert!(world.fake.requests("/userinfo").is_empty());
}

// === refresh ===

#[tokio::test]
async fn a_refresh_brings_new_tokens() {
    let world = World::new().await;
    let tokens = world.refresh().await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "s3cr3t-access");
    let request = world.fake.request("/token");
    let expected = [("grant_type", "refresh_token"), ("refresh_token", "s3cr3t-refresh")];
    assert_eq!(request.form, expected.map(|(name, value)| (name.into(), value.into())).into());
    assert!(world.fake.requests("/jwks").is_empty());
}

#[tokio::test]
async fn t23_a_refresh_without_a_refresh_token_or_with_a_shorter_life() {
    let world = World::new().await;
    let answer = |changes: Value| {
        let mut answer = token_answer();
        for (name, value) in changes.as_object().unwrap() {
            answer[name] = value.clone();
        }
        answer.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        world.fake.reply("/token", answer);
    };
    answer(json!({ "refresh_token": null, "expires_in": 60 }));
    let tokens = world.refresh().await.unwrap();
    assert!(tokens.refresh_token.is_none());
    assert_eq!(tokens.expires_at, Some(NOW.after(Duration::from_mins(1))));

    answer(json!({ "refresh_token": "", "expires_in": null }));
    let tokens = world.refresh().await.unwrap();
    assert!(tokens.refresh_token.is_none() && tokens.expires_at.is_none());

    answer(json!({ "token_type": "bEaReR", "expires_in": u64::MAX }));
    let far = world.refresh().await.unwrap().expires_at.unwrap();
    assert!(far > NOW);
}

#[tokio::test]
async fn t18_no_debug_output_shows_a_secret() {
    let world = World::new().await;
    let (_, tokens) = world.exchange().await.unwrap();
    let settings = crate::provider::Settings::Oidc(world.oidc.settings.clone());
    let shown = format!("{:?} {tokens:?} {settings:?}", world.oidc);
    assert!(!shown.contains(MARK), "{shown}");
}

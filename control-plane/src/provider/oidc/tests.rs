mod discovery;
mod exchange;
mod identify;
mod presets;

use portcullis_proto::ids::Subject;
use serde_json::{Value, json};

use super::*;
use crate::oauth::admission::Facts;
use crate::provider::testing::{
    CLIENT_ID, FakeProvider, MARK, NONCE, NOW, Reply, SigningKey, acting, acting_as, app, claims,
    credentials, error_of, http, login, pass, query, questions, secret, token_answer,
};
use crate::provider::{AppIdentity, ClientAuth, Settings};

/// A provider where all is well, until a test says otherwise.
struct World {
    fake: FakeProvider,
    key: SigningKey,
    oidc: Oidc,
    acting: AppCredentials,
}

impl World {
    async fn new() -> Self {
        Self::with(app()).await
    }

    async fn with(app: App) -> Self {
        let fake = FakeProvider::start().await;
        let key = SigningKey::es256("2024");
        let acting = acting_as(&app);
        let oidc = Oidc::new(OidcSettings { issuer: fake.issuer.clone(), app }, http());
        let world = Self { fake, key, oidc, acting };
        world.discover(&json!({}));
        world.fake.reply("/jwks", json!({ "keys": [world.key.jwk()] }));
        world.answer_with(&world.key.sign(&world.claims()));
        world
    }

    /// Changes members of the discovery document.
    fn discover(&self, changes: &Value) {
        self.fake.discover("", changes);
    }

    fn claims(&self) -> Value {
        claims(&self.fake.issuer)
    }

    /// Lets the token endpoint answer with this ID token.
    fn answer_with(&self, id_token: &str) {
        self.fake.answer_with(id_token);
    }

    async fn exchange(&self) -> Result<(Identity, ProviderTokens), ProviderError> {
        self.oidc.exchange(&secret("code"), &Login { acting: &self.acting, ..login() }, NOW).await
    }

    async fn refresh(&self) -> Result<ProviderTokens, ProviderError> {
        self.oidc.refresh(&secret("refresh"), &self.acting, NOW).await
    }
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

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
    let shown = format!("{:?} {tokens:?} {settings:?} {:?}", world.oidc, login());
    assert!(!shown.contains(MARK), "{shown}");
}

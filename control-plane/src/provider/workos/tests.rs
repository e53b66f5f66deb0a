use std::sync::Arc;

use jsonwebtoken::{EncodingKey, Header};
use portcullis_proto::ids::Subject;
use serde_json::json;

use super::*;
use crate::provider::Settings;
use crate::provider::testing::{
    FakeProvider, MARK, NOW, Reply, app, credentials, error_of, http, login, query, questions, secret,
};

const AUTHENTICATE: &str = "/user_management/authenticate";

struct World {
    fake: FakeProvider,
    workos: Arc<dyn Provider>,
}

impl World {
    async fn new(selector: Selector) -> Self {
        let fake = FakeProvider::start().await;
        let app = App { scopes: vec!["mcp:read".into()], ..app() };
        let settings = WorkOsSettings { api_url: fake.url("/"), selector, app };
        fake.reply(AUTHENTICATE, answer());
        Self { fake, workos: Settings::WorkOs(settings).connect(http()) }
    }

    async fn authkit() -> Self {
        Self::new(Selector::Provider("authkit".into())).await
    }

    async fn exchange(&self) -> Result<(Identity, ProviderTokens), ProviderError> {
        self.workos.exchange(&secret("code"), &Login { acting: &key(), ..login() }, NOW).await
    }

    async fn refresh(&self) -> Result<ProviderTokens, ProviderError> {
        self.workos.refresh(&secret("refresh"), &key(), NOW).await
    }
}

fn key() -> AppCredentials {
    credentials(ClientAuth::Post(secret("api-key")))
}

fn access_token(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(b"s3cr3t")).unwrap()
}

fn answer() -> Value {
    let claims = json!({
        "sub": "user_01", "sid": "session_01", "exp": NOW.as_secs() + 300, "org_id": "org_01",
        "role": "member", "permissions": ["mcp:use", "posts:read"],
    });
    json!({
        "user": { "object": "user", "id": "user_01", "email": "jane@example.com", "email_verified": true },
        "organization_id": "org_01",
        "access_token": access_token(&claims),
        "refresh_token": "s3cr3t-refresh-2",
        "authentication_method": "Password",
    })
}

#[tokio::test]
async fn the_browser_is_sent_with_one_selector_pkce_and_no_scope() {
    for (selector, name, value) in [
        (Selector::Provider("authkit".into()), "provider", "authkit"),
        (Selector::Connection("conn_01".into()), "connection_id", "conn_01"),
        (Selector::Organization("org_01".into()), "organization_id", "org_01"),
    ] {
        let world = World::new(selector).await;
        let url = world.workos.authorization_url(&login()).await.unwrap();
        assert!(url.as_str().starts_with(world.fake.url("/user_management/authorize?").as_str()), "{url}");
        let query = query(&url);
        assert_eq!(query[name], value);
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["response_type"], "code");
        let selectors = WorkOsSettings::OWN_PARAMETERS.iter().filter(|name| query.contains_key(**name));
        assert_eq!(selectors.count(), 1, "{url}");
        assert!(!query.contains_key("scope") && !query.contains_key("nonce"), "{url}");
        assert!(!url.as_str().contains(MARK), "{url}");
    }
}

#[tokio::test]
async fn a_code_brings_the_user_and_a_token_that_says_itself_when_it_expires() {
    let world = World::authkit().await;
    let (identity, tokens) = world.exchange().await.unwrap();
    let facts =
        Facts { email_verified: true, organizations: ["org_01".to_owned()].into(), ..Facts::default() };
    let jane = Identity { subject: Subject::new("user_01"), email: Some("jane@example.com".into()), facts };
    assert_eq!(identity, jane);
    assert_eq!(tokens.expires_at.unwrap().as_secs(), NOW.as_secs() + 300);
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "s3cr3t-refresh-2");

    let request = world.fake.request(AUTHENTICATE);
    let expected = json!({
        "grant_type": "authorization_code",
        "code": "s3cr3t-code",
        "code_verifier": login().verifier,
        "client_id": "portcullis",
        "client_secret": "s3cr3t-api-key",
    });
    assert_eq!(request.json, expected);
    assert_eq!(request.headers["content-type"], "application/json");
    assert!(!request.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_brings_the_next() {
    let world = World::authkit().await;
    let tokens = world.refresh().await.unwrap();
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "s3cr3t-refresh-2");
    let request = world.fake.request(AUTHENTICATE).json;
    assert_eq!(request["grant_type"], "refresh_token");
    assert_eq!(request["refresh_token"], "s3cr3t-refresh");
}

#[tokio::test]
async fn t23_a_dead_session_at_workos_is_final_and_other_errors_are_not() {
    let world = World::authkit().await;
    let cases = [
        (
            Reply::error(400, json!({ "error": "invalid_grant", "error_description": "s3cr3t" })),
            ProviderError::InvalidGrant,
        ),
        (
            Reply::error(400, json!({ "error": "invalid_client" })),
            ProviderError::Refused("invalid_client".into()),
        ),
        (
            Reply::error(
                403,
                json!({ "code": "email_verification_required", "pending_authentication_token": "s3cr3t" }),
            ),
            ProviderError::Refused("HTTP 403".into()),
        ),
        (Reply::status(503, "s3cr3t"), ProviderError::Unreachable("HTTP 503".into())),
    ];
    for (reply, error) in cases {
        world.fake.reply(AUTHENTICATE, reply);
        assert_eq!(error_of(world.refresh().await), error);
        assert_eq!(error_of(world.exchange().await), error);
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_refused() {
    let world = World::authkit().await;
    let changed = |name: &str, value: Value| {
        let mut answer = answer();
        answer[name] = value;
        answer
    };
    for body in [
        json!({}),
        changed("user", json!(null)),
        changed("user", json!({ "id": "" })),
        changed("access_token", json!("s3cr3t-opaque")),
        changed("access_token", json!(access_token(&json!({ "sub": "user_01" })))),
        changed("access_token", json!(access_token(&json!({ "exp": "s3cr3t" })))),
    ] {
        world.fake.reply(AUTHENTICATE, body.clone());
        assert!(matches!(error_of(world.exchange().await), ProviderError::Malformed(_)), "{body}");
    }
}

#[tokio::test]
async fn a_session_of_another_organization_is_refused_whatever_the_browser_asked_for() {
    let world = World::new(Selector::Organization("org_01".into())).await;
    world.exchange().await.unwrap();
    for organization in [json!("org_02"), json!(null)] {
        let mut answer = answer();
        answer["organization_id"] = organization;
        world.fake.reply(AUTHENTICATE, answer);
        let why = "the session is not in the organization";
        assert_eq!(error_of(world.exchange().await), ProviderError::NotAllowed(why.into()));
    }
}

// === rules of a server ===

const USER: &str = "/user_management/users/user_01";

fn user(email_verified: bool) -> Value {
    json!({ "object": "user", "id": "user_01", "email": "jane@example.com", "email_verified": email_verified })
}

impl World {
    async fn identify(&self, questions: &Questions) -> Result<Identity, ProviderError> {
        let tokens = self.refresh().await?;
        Ok(self.workos.identify(&tokens, &key(), questions, NOW).await?.unwrap())
    }
}

#[tokio::test]
async fn roles_and_permissions_are_claims_of_the_access_token_and_the_session_has_an_organization() {
    let world = World::authkit().await;
    world.fake.reply(USER, user(true));
    let questions = questions(&["role", "permissions", "absent"], &["org_01"]);
    let login = Login { questions: &questions, ..login() };
    let (identity, _) = world.workos.exchange(&secret("code"), &login, NOW).await.unwrap();
    let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let facts = Facts {
        email_verified: true,
        claims: [
            ("role".to_owned(), texts(&["member"])),
            ("permissions".to_owned(), texts(&["mcp:use", "posts:read"])),
        ]
        .into(),
        organizations: ["org_01".to_owned()].into(),
    };
    assert_eq!(identity.facts, facts);
    assert!(world.fake.requests(USER).is_empty(), "the answer to the code has said it");

    assert_eq!(world.identify(&questions).await.unwrap(), identity);
    assert_eq!(world.fake.request(USER).headers["authorization"], "Bearer s3cr3t-api-key");
}

#[tokio::test]
async fn after_a_refresh_what_has_changed_is_seen() {
    let world = World::authkit().await;
    world.fake.reply(USER, user(false));
    assert!(!world.identify(&questions(&[], &[])).await.unwrap().facts.email_verified);
    world.fake.reply(USER, Reply::error(404, json!({ "code": "entity_not_found" })));
    assert_eq!(
        error_of(world.identify(&questions(&[], &[])).await),
        ProviderError::Refused("the user: HTTP 404".into())
    );
    world.fake.reply(USER, json!({ "id": "user_02", "email": "jane@example.com", "email_verified": true }));
    assert!(matches!(error_of(world.identify(&questions(&[], &[])).await), ProviderError::Malformed(_)));

    // Nobody is asked about an address that no rule is about.
    let asked = world.fake.requests(USER).len();
    let organization = Questions { organizations: ["org_01".to_owned()].into(), ..Questions::default() };
    world.identify(&organization).await.unwrap();
    assert_eq!(world.fake.requests(USER).len(), asked);

    let mut elsewhere = answer();
    let claims = json!({ "sub": "user_01", "exp": NOW.as_secs() + 300, "org_id": "org_02" });
    elsewhere["access_token"] = access_token(&claims).into();
    world.fake.reply(AUTHENTICATE, elsewhere);
    assert_eq!(
        world.identify(&organization).await.unwrap().facts.organizations,
        ["org_02".to_owned()].into()
    );
    let bound = World::new(Selector::Organization("org_02".into())).await;
    let error = error_of(bound.identify(&organization).await);
    assert!(matches!(error, ProviderError::NotAllowed(_)), "{error}");
}

mod rules;

use std::sync::Arc;

use portcullis_proto::ids::Subject;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::oauth::admission::Facts;
use crate::provider::testing::{
    FakeProvider, MARK, NOW, Reply, acting, app, credentials, error_of, http, login, query, questions, secret,
};
use crate::provider::{ClientAuth, Settings};

const MEMBERSHIP: &str = "/api/v3/user/memberships/orgs/acme";

/// An Enterprise Server whose user is number 583231.
struct World {
    fake: FakeProvider,
    github: Arc<dyn Provider>,
}

impl World {
    async fn new(organization: Option<&str>) -> Self {
        let fake = FakeProvider::start().await;
        let base_url = fake.url("/");
        let settings = GitHubSettings {
            api_url: GitHubSettings::default_api_url(&base_url),
            base_url,
            organization: organization.map(ToOwned::to_owned),
            app: App { scopes: vec!["repo".into()], ..app() },
        };
        fake.reply("/login/oauth/access_token", oauth_app_answer());
        fake.reply("/api/v3/user", json!({ "id": 583_231, "login": "octocat", "email": "octo@example.com" }));
        Self { fake, github: Settings::GitHub(settings).connect(http()) }
    }

    async fn exchange(&self) -> Result<(Identity, ProviderTokens), ProviderError> {
        self.github.exchange(&secret("code"), &Login { acting: &in_body(), ..login() }, NOW).await
    }

    async fn refresh(&self) -> Result<ProviderTokens, ProviderError> {
        self.github.refresh(&secret("refresh"), &in_body(), NOW).await
    }

    fn token(&self, reply: impl Into<Reply>) {
        self.fake.reply("/login/oauth/access_token", reply);
    }
}

fn in_body() -> AppCredentials {
    credentials(ClientAuth::Post(secret("client")))
}

/// Never expires, and its scopes have commas between them.
fn oauth_app_answer() -> Value {
    json!({ "access_token": "s3cr3t-gho", "scope": "repo,gist,read:org", "token_type": "bearer" })
}

fn error_with_200(code: &str) -> Value {
    json!({ "error": code, "error_description": "s3cr3t", "error_uri": "https://docs.github.com/s3cr3t" })
}

#[tokio::test]
async fn the_browser_is_sent_with_pkce() {
    let world = World::new(None).await;
    let url = world.github.authorization_url(&login()).await.unwrap();
    assert!(url.as_str().starts_with(world.fake.url("/login/oauth/authorize?").as_str()), "{url}");
    let query = query(&url);
    assert_eq!(query["scope"], "repo");
    assert_eq!(query["code_challenge_method"], "S256");
    assert!(!url.as_str().contains(MARK), "{url}");
}

#[tokio::test]
async fn t13_githubs_iss_is_checked_where_it_is_sent() {
    let public = GitHubSettings {
        base_url: "https://github.com/".parse().unwrap(),
        api_url: "https://api.github.com/".parse().unwrap(),
        organization: None,
        app: app(),
    };
    let public = Settings::GitHub(public).connect(http());
    let world = World::new(None).await;
    let own = world.fake.url("/login/oauth").to_string();
    for (github, issuer) in [(&public, "https://github.com/login/oauth"), (&world.github, &own)] {
        assert_eq!(github.check_issuer(Some(issuer)).await, Ok(()));
        assert!(github.is_issuer(issuer));
        assert_eq!(github.check_issuer(None).await, Ok(()), "it need not come");
        let slash = format!("{issuer}/");
        for wrong in [
            "https://evil.example/login/oauth",
            "https://github.com",
            "https://ghe.example/login/oauth",
            &slash,
            "",
        ] {
            assert_eq!(github.check_issuer(Some(wrong)).await, Err(ProviderError::Issuer), "{wrong}");
            assert!(!github.is_issuer(wrong), "{wrong}");
        }
    }
    assert_eq!(public.check_issuer(Some(&own)).await, Err(ProviderError::Issuer));
}

#[tokio::test]
async fn an_oauth_app_gets_a_token_that_never_expires_and_the_users_number() {
    let world = World::new(None).await;
    let (identity, tokens) = world.exchange().await.unwrap();
    let octocat = Identity {
        subject: Subject::new("583231"),
        email: Some("octo@example.com".into()),
        facts: Facts::default(),
    };
    assert_eq!(identity, octocat);
    assert_eq!(tokens.access_token.expose_secret(), "s3cr3t-gho");
    assert!(tokens.expires_at.is_none() && tokens.refresh_token.is_none());

    let request = world.fake.request("/login/oauth/access_token");
    assert_eq!(request.headers["accept"], "application/json", "else it answers with a form");
    assert_eq!(request.form["client_secret"], "s3cr3t-client");
    assert_eq!(request.form["code_verifier"], login().verifier);
    assert!(world.fake.requests("/api/v3/user/emails").is_empty(), "the profile has shown it");
}

#[tokio::test]
async fn a_github_app_gets_tokens_that_expire_and_rotate() {
    let world = World::new(None).await;
    world.token(json!({
        "access_token": "s3cr3t-ghu", "expires_in": 28_800, "refresh_token": "s3cr3t-ghr",
        "refresh_token_expires_in": 15_897_600, "scope": "", "token_type": "bearer",
    }));
    let (_, tokens) = world.exchange().await.unwrap();
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "s3cr3t-ghr");
    let tokens = world.refresh().await.unwrap();
    assert_eq!(tokens.expires_at.unwrap().as_secs(), NOW.as_secs() + 28_800);
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "s3cr3t-ghr");
}

#[tokio::test]
async fn t23_githubs_words_for_a_dead_grant_are_final_though_they_come_with_200() {
    let world = World::new(None).await;
    world.token(error_with_200("bad_verification_code"));
    assert_eq!(error_of(world.exchange().await), ProviderError::InvalidGrant);
    assert!(world.fake.requests("/api/v3/user").is_empty());
    for reply in
        [error_with_200("bad_refresh_token").into(), Reply::error(400, error_with_200("bad_refresh_token"))]
    {
        world.token(reply);
        assert_eq!(error_of(world.refresh().await), ProviderError::InvalidGrant);
    }
}

#[tokio::test]
async fn t23_githubs_other_errors_with_200_say_nothing_about_the_grant() {
    let world = World::new(None).await;
    for code in ["incorrect_client_credentials", "redirect_uri_mismatch", "unverified_user_email"] {
        world.token(error_with_200(code));
        assert_eq!(error_of(world.refresh().await), ProviderError::Refused(code.into()));
        assert_eq!(error_of(world.exchange().await), ProviderError::Refused(code.into()));
    }
}

// === the user ===

#[tokio::test]
async fn a_login_is_no_identifier() {
    let world = World::new(None).await;
    for user in [json!({ "login": "octocat" }), json!({ "id": null, "login": "octocat" })] {
        world.fake.reply("/api/v3/user", user);
        let why = "userinfo has no identifier in `id`";
        assert_eq!(error_of(world.exchange().await), ProviderError::Malformed(why.into()));
    }
}

#[tokio::test]
async fn a_private_email_is_the_verified_primary_one_where_the_app_may_see_it() {
    let world = World::new(None).await;
    world.fake.reply("/api/v3/user", json!({ "id": 583_231, "login": "octocat", "email": null }));
    let email = |email: &str, primary: bool, verified: bool| json!({ "email": email, "primary": primary, "verified": verified, "visibility": null });
    let [other, unverified, primary] = [
        email("other@example.com", false, true),
        email("octo@example.com", true, false),
        email("octo@example.com", true, true),
    ];
    let cases = [
        (json!([other, primary]).into(), Some("octo@example.com")),
        (json!([other, unverified]).into(), None),
        (json!([]).into(), None),
        (json!({ "message": "s3cr3t" }).into(), None),
        (Reply::error(404, json!({ "message": "Not Found" })), None),
        (Reply::error(403, json!({ "message": "Resource not accessible by integration" })), None),
        (Reply::status(500, "s3cr3t"), None),
        (Reply::status(200, &"x".repeat(70_000)), None),
    ];
    for (reply, expected) in cases {
        world.fake.reply("/api/v3/user/emails", reply);
        let (identity, _) = world.exchange().await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.email.as_deref()), ("583231", expected));
    }
    assert_eq!(world.fake.requests("/api/v3/user/emails")[0].headers["authorization"], "Bearer s3cr3t-gho");
}

// === the organization ===

#[tokio::test]
async fn active_members_of_the_organization_may_log_in() {
    let world = World::new(Some("acme")).await;
    let query = query(&world.github.authorization_url(&login()).await.unwrap());
    assert_eq!(query["scope"], "repo read:org");

    world.fake.reply(MEMBERSHIP, json!({ "state": "active", "role": "member" }));
    world.exchange().await.unwrap();
    assert_eq!(world.fake.request(MEMBERSHIP).headers["authorization"], "Bearer s3cr3t-gho");
}

#[tokio::test]
async fn nobody_else_may() {
    let world = World::new(Some("acme")).await;
    let cannot_see = |status| format!("no member of acme as far as the app can see: HTTP {status}");
    let cases = [
        (
            json!({ "state": "pending", "role": "member" }).into(),
            "the membership in acme is not active".to_owned(),
        ),
        (Reply::error(404, json!({ "message": "Not Found" })), cannot_see(404)),
        (Reply::error(403, json!({ "message": "s3cr3t" })), cannot_see(403)),
    ];
    for (reply, why) in cases {
        world.fake.reply(MEMBERSHIP, reply);
        assert_eq!(error_of(world.exchange().await), ProviderError::NotAllowed(why));
    }
    world.fake.reply(MEMBERSHIP, json!({ "role": "member" }));
    assert!(matches!(error_of(world.exchange().await), ProviderError::Malformed(_)));
    world.fake.reply(MEMBERSHIP, Reply::status(502, "s3cr3t"));
    assert!(matches!(error_of(world.exchange().await), ProviderError::Unreachable(_)));
}

// === where it is ===

#[test]
fn the_api_is_found() {
    for (base_url, api_url) in [
        ("https://github.com/", "https://api.github.com/"),
        ("https://acme.ghe.com/", "https://api.acme.ghe.com/"),
        ("https://github.acme.example/", "https://github.acme.example/api/v3/"),
        ("https://notgithub.com/", "https://notgithub.com/api/v3/"),
        ("http://127.0.0.1:4001/", "http://127.0.0.1:4001/api/v3/"),
    ] {
        let base_url = Url::parse(base_url).unwrap();
        assert_eq!(GitHubSettings::default_api_url(&base_url).as_str(), api_url);
    }
}

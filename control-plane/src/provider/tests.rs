//! What every kind of provider must stand, one kind after the other.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::testing::{
    FakeProvider, NOW, Reply, SigningKey, acting, app, claims, error_of, http, login, pass, secret,
    token_answer,
};
use super::*;

const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
const JANE: &str = "690222be-ff1a-4d56-abd1-7e4f7d38e474";

/// A kind, and how it looks from outside.
struct Kind {
    name: &'static str,
    /// Its token endpoint.
    endpoint: &'static str,
    settings: fn(&FakeProvider) -> Settings,
    /// What the token endpoint answers when all is well, but for an ID token.
    answer: fn() -> Value,
}

const OIDC: Kind = Kind {
    name: "oidc",
    endpoint: "/token",
    settings: |fake| Settings::Oidc(OidcSettings { issuer: fake.issuer.clone(), app: app() }),
    answer: token_answer,
};

const GOOGLE: Kind = Kind {
    name: "google",
    endpoint: "/token",
    settings: |fake| {
        let settings = GoogleSettings { issuer: fake.issuer.clone(), hosted_domain: None, app: app() };
        Settings::Google(settings)
    },
    answer: token_answer,
};

const ENTRA: Kind = Kind {
    name: "entra",
    endpoint: "/token",
    settings: |fake| {
        Settings::Entra(EntraSettings {
            authority: fake.issuer.clone(),
            tenant: Tenant::Id(TENANT.into()),
            allowed_tenants: Vec::new(),
            app: app(),
        })
    },
    answer: token_answer,
};

const OAUTH2: Kind = Kind {
    name: "oauth2",
    endpoint: "/token",
    settings: |fake| {
        Settings::OAuth2(OAuth2Settings {
            authorization_endpoint: fake.url("/authorize"),
            token_endpoint: fake.url("/token"),
            userinfo_endpoint: fake.url("/user"),
            subject_member: "id".into(),
            email_member: "email".into(),
            registration_endpoint: None,
            issuer: None,
            app: app(),
        })
    },
    answer: token_answer,
};

const GITHUB: Kind = Kind {
    name: "github",
    endpoint: "/login/oauth/access_token",
    settings: |fake| {
        Settings::GitHub(GitHubSettings {
            base_url: fake.url("/"),
            api_url: fake.url("/api/v3/"),
            organization: None,
            app: app(),
        })
    },
    answer: token_answer,
};

const WORKOS: Kind = Kind {
    name: "workos",
    endpoint: "/user_management/authenticate",
    settings: |fake| {
        let selector = Selector::Provider("authkit".into());
        Settings::WorkOs(WorkOsSettings { api_url: fake.url("/"), selector, app: app() })
    },
    answer: || {
        let claims = json!({ "sub": "user_01", "exp": NOW.as_secs() + 3600 });
        let key = EncodingKey::from_secret(b"s3cr3t");
        json!({
            "user": { "id": "user_01" },
            "access_token": jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap(),
            "refresh_token": "s3cr3t-refresh",
        })
    },
};

const ALL: [Kind; 6] = [OIDC, OAUTH2, GOOGLE, GITHUB, ENTRA, WORKOS];
const WITH_ID_TOKENS: [Kind; 3] = [OIDC, GOOGLE, ENTRA];

struct World {
    kind: Kind,
    fake: FakeProvider,
    provider: Arc<dyn Provider>,
}

impl World {
    async fn new(kind: Kind, http: Http) -> Self {
        let fake = FakeProvider::start().await;
        fake.discover("", &json!({}));
        let issuer = format!("{}/{TENANT}/v2.0", fake.issuer);
        fake.discover(&format!("/{TENANT}/v2.0"), &json!({ "issuer": issuer }));
        let provider = (kind.settings)(&fake).connect(http);
        Self { kind, fake, provider }
    }

    fn answers(&self, reply: impl Into<Reply>) {
        self.fake.reply(self.kind.endpoint, reply);
    }

    async fn exchange(&self) -> Result<Identity, ProviderError> {
        self.provider.exchange(&secret("code"), &login(), NOW).await.map(|(identity, _)| identity)
    }

    async fn refresh(&self) -> Result<ProviderTokens, ProviderError> {
        self.provider.refresh(&secret("refresh"), acting(), NOW).await
    }

    /// What a code and a refresh token come to: the same.
    async fn error(&self) -> ProviderError {
        let error = error_of(self.refresh().await);
        assert_eq!(error_of(self.exchange().await), error, "{}", self.kind.name);
        error
    }

    /// Lets the code bring an ID token with these claims changed.
    fn answers_with_id_token(&self, key: &SigningKey, changes: &Value) {
        let path = if self.kind.name == "entra" { format!("/{TENANT}/v2.0") } else { String::new() };
        let mut claims = claims(&format!("{}{path}", self.fake.issuer));
        claims["tid"] = TENANT.into();
        claims["oid"] = JANE.into();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut answer = (self.kind.answer)();
        answer["id_token"] = key.sign(&claims).into();
        self.answers(answer);
    }
}

#[tokio::test]
async fn t23_no_kind_takes_an_error_with_200_for_an_answer() {
    for kind in ALL {
        let world = World::new(kind, http()).await;
        world.answers(json!({ "error": "temporarily_odd", "error_description": "s3cr3t" }));
        assert_eq!(world.error().await, ProviderError::Refused("temporarily_odd".into()));
        world.answers(json!({ "error": "invalid_grant" }));
        assert_eq!(world.error().await, ProviderError::InvalidGrant);
        // Nor where tokens stand beside it.
        let mut both = (world.kind.answer)();
        both["error"] = "invalid_scope".into();
        world.answers(both);
        assert_eq!(world.error().await, ProviderError::Refused("invalid_scope".into()));
    }
}

#[tokio::test]
async fn t23_every_kind_says_so_where_a_refresh_brings_no_refresh_token() {
    for kind in ALL {
        let world = World::new(kind, http()).await;
        world.answers((world.kind.answer)());
        let tokens = world.refresh().await.unwrap();
        assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "s3cr3t-refresh", "{}", world.kind.name);
        let mut answer = (world.kind.answer)();
        answer.as_object_mut().unwrap().remove("refresh_token");
        world.answers(answer);
        assert!(world.refresh().await.unwrap().refresh_token.is_none(), "{}", world.kind.name);
    }
}

#[tokio::test]
async fn t23_every_kind_gives_up_on_a_provider_that_hangs() {
    for kind in ALL {
        let world = World::new(kind, Http::with_deadline(Duration::from_millis(500)).unwrap()).await;
        world.answers(Reply { hangs: true, ..Reply::status(200, "") });
        let ProviderError::Unreachable(why) = error_of(world.refresh().await) else { panic!("it waits") };
        assert!(why.ends_with("no answer in time"), "{}: {why}", world.kind.name);
    }
}

#[tokio::test]
async fn no_kind_makes_anything_of_garbage() {
    let reply = |body: &str| Reply { content_type: "application/json", ..Reply::status(200, body) };
    let long = "x".repeat(70_000);
    for kind in ALL {
        let world = World::new(kind, http()).await;
        for garbage in ["", "s3cr3t", "<html>s3cr3t", "[]", "{}", "{\"access_token\":", "\u{0}", &long] {
            world.answers(reply(garbage));
            let error = world.error().await;
            assert!(matches!(error, ProviderError::Malformed(_)), "{}: {error}", world.kind.name);
        }
    }
}

#[tokio::test]
async fn no_kind_believes_an_id_token_that_is_not_for_this_login() {
    for kind in WITH_ID_TOKENS {
        let world = World::new(kind, http()).await;
        let key = SigningKey::es256("2024");
        world.fake.reply("/jwks", json!({ "keys": [key.jwk()] }));
        world.answers_with_id_token(&key, &json!({}));
        world.exchange().await.unwrap();
        for (claim, value, why) in [
            ("iss", json!("https://evil.example"), "iss is another's"),
            ("aud", json!("another"), "aud is another's"),
            ("azp", json!("another"), "azp is another's"),
            ("nonce", json!("n-another"), "nonce is not this login's"),
            ("exp", json!(NOW.as_secs() - 60), "it has expired"),
            ("iat", json!(NOW.as_secs() + 61), "it is from the future"),
        ] {
            world.answers_with_id_token(&key, &json!({ claim: value }));
            let error = error_of(world.exchange().await);
            assert_eq!(error, ProviderError::IdToken(why.into()), "{} {claim}", world.kind.name);
        }
        world.answers((world.kind.answer)());
        assert_eq!(error_of(world.exchange().await), ProviderError::IdToken("there is none".into()));
    }
}

#[tokio::test]
async fn every_kind_finds_a_rotated_key_and_believes_no_unknown_one() {
    for kind in WITH_ID_TOKENS {
        let world = World::new(kind, http()).await;
        let (old, new) = (SigningKey::es256("2024"), SigningKey::es256("2025"));
        world.fake.reply("/jwks", json!({ "keys": [old.jwk()] }));
        world.answers_with_id_token(&old, &json!({}));
        world.exchange().await.unwrap();
        world.answers_with_id_token(&new, &json!({}));
        let unknown = ProviderError::IdToken("its key is not in the provider's key set".into());
        pass(Duration::from_mins(1)).await;
        assert_eq!(error_of(world.exchange().await), unknown, "{}", world.kind.name);
        world.fake.reply("/jwks", json!({ "keys": [new.jwk()] }));
        pass(Duration::from_mins(1)).await;
        world.exchange().await.unwrap();
    }
}

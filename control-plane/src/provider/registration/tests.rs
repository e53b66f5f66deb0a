use std::sync::Arc;

use secrecy::ExposeSecret;

use super::*;
use crate::provider::testing::{FakeProvider, MARK, Reply, app, error_of, http, query, secret};
use crate::provider::{App, AppIdentity, Login, OAuth2Settings, OidcSettings, Provider, Settings};

/// A provider that clients can register at, and its settings.
struct World {
    fake: FakeProvider,
    provider: Arc<dyn Provider>,
}

impl World {
    /// With other members in its metadata.
    async fn new(changes: Value) -> Self {
        Self::with(DynamicRegistration::default(), changes).await
    }

    async fn with(registration: DynamicRegistration, changes: Value) -> Self {
        let fake = FakeProvider::start().await;
        let mut metadata = json!({ "registration_endpoint": fake.url("/reg") });
        for (name, value) in changes.as_object().unwrap() {
            metadata[name] = value.clone();
        }
        fake.discover("", &metadata);
        let app = App { identity: AppIdentity::Dynamic(registration), ..app() };
        let settings = OidcSettings { issuer: fake.issuer.clone(), app };
        Self { fake, provider: Settings::Oidc(settings).connect(http()) }
    }

    async fn register(&self) -> Result<Enrolment, ProviderError> {
        self.register_at("https://mcp.example.com").await
    }

    async fn register_at(&self, origin: &str) -> Result<Enrolment, ProviderError> {
        let [redirect_uri, document] = ["/callback", "/provider-clients/c.json"]
            .map(|path| Url::parse(&format!("{origin}{path}")).unwrap());
        let scopes = ["openid".to_owned(), "email".to_owned()];
        let client = NewClient {
            name: "Editor via Portcullis",
            redirect_uri: &redirect_uri,
            scopes: &scopes,
            document: &document,
        };
        self.provider.register(&client).await
    }

    async fn registered(&self) -> RegisteredClient {
        match self.register().await.unwrap() {
            Enrolment::Registered(client) => client,
            Enrolment::ByDocument => panic!("by document"),
        }
    }

    fn answer(&self, changes: &Value) {
        let mut answer = json!({
            "client_id": "dyn-1",
            "client_secret": "s3cr3t-dyn-1",
            "client_secret_expires_at": 0,
            "token_endpoint_auth_method": "client_secret_basic",
            "registration_access_token": "s3cr3t-management",
            "registration_client_uri": self.fake.url("/reg/dyn-1"),
        });
        for (name, value) in changes.as_object().unwrap() {
            answer[name] = value.clone();
        }
        answer.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.fake.reply("/reg", Reply::error(201, answer));
    }
}

#[tokio::test]
async fn a_client_is_registered_with_our_callback_and_its_name() {
    let world = World::new(json!({})).await;
    world.answer(&json!({}));
    let client = world.registered().await;
    assert_eq!(client.credentials.client_id, "dyn-1");
    let ClientAuth::Basic(secret) = &client.credentials.auth else { panic!("{client:?}") };
    assert_eq!((secret.expose_secret(), client.secret_expires_at), ("s3cr3t-dyn-1", None));

    let request = world.fake.request("/reg");
    assert!(!request.headers.contains_key("authorization"));
    let expected = json!({
        "client_name": "Editor via Portcullis",
        "redirect_uris": ["https://mcp.example.com/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "openid email",
    });
    assert_eq!(request.json, expected);
    assert!(!format!("{client:?}").contains(MARK), "{client:?}");
}

#[tokio::test]
async fn the_initial_access_token_is_shown_to_the_registration_endpoint_only() {
    let registration = DynamicRegistration { initial_access_token: Some(secret("initial")) };
    assert!(!format!("{registration:?}").contains(MARK));
    let world = World::with(registration, json!({})).await;
    world.answer(&json!({}));
    world.registered().await;
    assert_eq!(world.fake.request("/reg").headers["authorization"], "Bearer s3cr3t-initial");
    let discovery = world.fake.request("/.well-known/openid-configuration");
    assert!(!discovery.headers.contains_key("authorization"));
}

#[tokio::test]
async fn the_method_is_the_best_that_the_provider_knows_and_the_answer_has_the_last_word() {
    let methods = |names: Value| json!({ "token_endpoint_auth_methods_supported": names });
    for (supported, asked) in [
        (json!(["none", "client_secret_post", "client_secret_basic"]), "client_secret_basic"),
        (json!(["private_key_jwt", "client_secret_post"]), "client_secret_post"),
        (json!(["none"]), "none"),
    ] {
        let world = World::new(methods(supported)).await;
        world.answer(&json!({ "token_endpoint_auth_method": null }));
        let client = world.registered().await;
        assert_eq!(world.fake.request("/reg").json["token_endpoint_auth_method"], asked);
        let got = match client.credentials.auth {
            ClientAuth::Basic(_) => "client_secret_basic",
            ClientAuth::Post(_) => "client_secret_post",
            ClientAuth::None => "none",
            ClientAuth::PrivateKeyJwt(_) => "private_key_jwt",
        };
        assert_eq!(got, asked);
    }
    let world = World::new(json!({})).await;
    world.answer(&json!({ "token_endpoint_auth_method": "client_secret_post" }));
    assert!(matches!(world.registered().await.credentials.auth, ClientAuth::Post(_)));

    let world = World::new(methods(json!(["private_key_jwt"]))).await;
    assert_eq!(error_of(world.register().await), ProviderError::NoRegistration);
    assert!(world.fake.requests("/reg").is_empty());
}

#[tokio::test]
async fn a_secret_that_expires_says_when() {
    let world = World::new(json!({})).await;
    world.answer(&json!({ "client_secret_expires_at": 1_700_000_100 }));
    let expires_at = world.registered().await.secret_expires_at;
    assert_eq!(expires_at, Some(Timestamp::from_millis(1_700_000_100_000)));
    world.answer(&json!({ "client_secret_expires_at": 1_700_000_100, "token_endpoint_auth_method": "none" }));
    assert_eq!(world.registered().await.secret_expires_at, None, "it has no secret");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    let world = World::new(json!({})).await;
    for (changes, why) in [
        (json!({ "client_id": null }), "is not the JSON that it must be"),
        (json!({ "client_id": "" }), "has no client_id that could be used"),
        (json!({ "client_id": "a\nb" }), "has no client_id that could be used"),
        (json!({ "client_id": "a".repeat(513) }), "has no client_id that could be used"),
        (json!({ "client_secret": null }), "has no client_secret that could be used"),
        (json!({ "client_secret": "s3cr3t\r\n" }), "has no client_secret that could be used"),
        (json!({ "client_secret": "a".repeat(1025) }), "has no client_secret that could be used"),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "has a method that was not asked for"),
    ] {
        world.answer(&changes);
        assert_eq!(error_of(world.register().await), malformed(why));
    }
    let refused = json!({ "error": "invalid_client_metadata", "error_description": "s3cr3t" });
    world.fake.reply("/reg", Reply::error(400, refused));
    let error = error_of(world.register().await);
    assert_eq!(error, ProviderError::Refused("registration: invalid_client_metadata".into()));
    world.fake.reply("/reg", Reply::status(401, "s3cr3t"));
    assert_eq!(error_of(world.register().await), ProviderError::Refused("registration: HTTP 401".into()));
    world.fake.reply("/reg", Reply::error(401, json!({ "error": "invalid_client" })));
    assert!(!error_of(world.register().await).refuses_the_client(), "that is about the initial access token");
}

#[tokio::test]
async fn a_client_is_taken_back_where_it_was_registered_and_nowhere_else() {
    let world = World::new(json!({})).await;
    world.answer(&json!({}));
    let management = world.registered().await.management.unwrap();
    world.fake.reply("/reg/dyn-1", Reply::status(204, ""));
    world.provider.deregister(&management).await.unwrap();
    let request = world.fake.request("/reg/dyn-1");
    assert_eq!(request.headers["authorization"], "Bearer s3cr3t-management");
    for uri in ["http://127.0.0.1:1/reg", "https://evil.example/", "x"] {
        world.answer(&json!({ "registration_client_uri": uri }));
        assert!(world.registered().await.management.is_none(), "{uri}");
    }
    world.answer(&json!({ "registration_access_token": null }));
    assert!(world.registered().await.management.is_none());
}

#[tokio::test]
async fn documents_are_for_https_and_for_this_machine_and_only_without_an_endpoint() {
    let documents = json!({ "registration_endpoint": null, "client_id_metadata_document_supported": true });
    let world = World::new(documents).await;
    for origin in ["https://mcp.example.com", "http://localhost:10000", "http://127.0.0.1:1"] {
        assert!(matches!(world.register_at(origin).await, Ok(Enrolment::ByDocument)), "{origin}");
    }
    assert_eq!(
        error_of(world.register_at("http://mcp.example.com").await),
        ProviderError::NoRegistration,
        "a provider could be told anything by whoever is in between"
    );
    let elsewhere = Offer::Documents { local: false };
    let local = Url::parse("http://localhost:10000/x.json").unwrap();
    let client = NewClient { name: "x", redirect_uri: &local, scopes: &[], document: &local };
    let refused = register(&http(), &DynamicRegistration::default(), &elsewhere, &client).await;
    assert_eq!(error_of(refused), ProviderError::NoRegistration);

    let both = World::new(json!({ "client_id_metadata_document_supported": true })).await;
    both.answer(&json!({}));
    both.registered().await;
    let neither = World::new(json!({ "registration_endpoint": null })).await;
    assert_eq!(error_of(neither.register().await), ProviderError::NoRegistration);
}

#[test]
fn a_document_says_whose_it_is() {
    let [redirect_uri, document] = ["https://mcp.example.com/callback", "https://mcp.example.com/c.json"]
        .map(|text| Url::parse(text).unwrap());
    let client = NewClient { name: "Editor", redirect_uri: &redirect_uri, scopes: &[], document: &document };
    let expected = json!({
        "client_id": "https://mcp.example.com/c.json",
        "client_name": "Editor",
        "redirect_uris": ["https://mcp.example.com/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    assert_eq!(client.document(), expected);
}

#[tokio::test]
async fn a_registration_endpoint_without_https_is_no_endpoint() {
    let world = World::new(json!({ "registration_endpoint": "http://idp.example.com/reg" })).await;
    assert!(matches!(error_of(world.register().await), ProviderError::Malformed(_)));
}

#[tokio::test]
async fn an_oauth2_provider_registers_where_it_is_configured_to() {
    let fake = FakeProvider::start().await;
    let settings = OAuth2Settings {
        authorization_endpoint: fake.url("/authorize"),
        token_endpoint: fake.url("/token"),
        userinfo_endpoint: fake.url("/user"),
        subject_member: "sub".into(),
        email_member: "email".into(),
        registration_endpoint: Some(Box::new(fake.url("/reg"))),
        issuer: None,
        app: App { identity: AppIdentity::Dynamic(DynamicRegistration::default()), ..app() },
    };
    let world = World { provider: Settings::OAuth2(settings).connect(http()), fake };
    world.answer(&json!({}));
    let client = world.registered().await;
    let login = Login { acting: &client.credentials, ..crate::provider::testing::login() };
    let url = world.provider.authorization_url(&login).await.unwrap();
    assert_eq!(query(&url)["client_id"], "dyn-1");
}

#[tokio::test]
async fn a_client_without_a_secret_is_named_in_the_form() {
    let world = World::new(json!({})).await;
    world.fake.reply("/token", crate::provider::testing::token_answer());
    let acting =
        AppCredentials { client_id: "https://mcp.example.com/c.json".into(), auth: ClientAuth::None };
    let now = crate::provider::testing::NOW;
    world.provider.refresh(&secret("refresh"), &acting, now).await.unwrap();
    let request = world.fake.request("/token");
    assert_eq!(request.form["client_id"], acting.client_id);
    assert!(!request.form.contains_key("client_secret") && !request.headers.contains_key("authorization"));
}

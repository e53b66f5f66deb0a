mod rules;

use portcullis_proto::ids::Subject;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::oauth::admission::Facts;
use crate::provider::testing::{
    FakeProvider, MARK, NOW, SigningKey, acting, acting_as, app, claims, credentials, error_of, http, login,
    query, questions, secret, token_answer,
};
use crate::provider::{AppCredentials, AppIdentity, ClientAuth, ClientKey, Login, Provider, ProviderTokens};

const ACME: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
const OTHER: &str = "82229342-1101-4ab6-817b-70c0747630f3";
const JANE: &str = "690222be-ff1a-4d56-abd1-7e4f7d38e474";

struct World {
    fake: FakeProvider,
    key: SigningKey,
    entra: Oidc,
    acting: AppCredentials,
}

impl World {
    /// `named` is the tenant that the discovery document names.
    async fn new(tenant: &str, named: &str) -> Self {
        Self::with(tenant, named, &[], app()).await
    }

    async fn with(tenant: &str, named: &str, allowed: &[&str], app: App) -> Self {
        let fake = FakeProvider::start().await;
        let key = SigningKey::rsa("2024", jsonwebtoken::Algorithm::RS256);
        fake.discover(
            &format!("/{tenant}/v2.0"),
            &json!({ "issuer": format!("{}/{named}/v2.0", fake.issuer) }),
        );
        fake.reply("/jwks", json!({ "keys": [key.jwk()] }));
        let acting = acting_as(&app);
        let settings = EntraSettings {
            authority: fake.issuer.clone(),
            tenant: Tenant::parse(tenant).unwrap(),
            allowed_tenants: allowed.iter().map(ToString::to_string).collect(),
            app,
        };
        Self { entra: settings.connect(http()), fake, key, acting }
    }

    /// The claims of a user of this tenant.
    fn claims(&self, tenant: &str) -> Value {
        let mut claims = claims(&format!("{}/{tenant}/v2.0", self.fake.issuer));
        claims["tid"] = tenant.into();
        claims["oid"] = JANE.into();
        claims
    }

    async fn exchange(&self, claims: &Value) -> Result<(Identity, ProviderTokens), ProviderError> {
        self.fake.answer_with(&self.key.sign(claims));
        self.entra.exchange(&secret("code"), &Login { acting: &self.acting, ..login() }, NOW).await
    }

    async fn exchange_of(&self, tenant: &str) -> Result<Identity, ProviderError> {
        self.exchange(&self.claims(tenant)).await.map(|(identity, _)| identity)
    }
}

fn wrong(why: &str) -> ProviderError {
    ProviderError::IdToken(why.into())
}

#[tokio::test]
async fn a_refresh_token_and_oid_are_asked_for_and_no_resource() {
    let scopes = vec!["api://mcp/.default".to_owned()];
    let world = World::with(ACME, ACME, &[], App { scopes, ..app() }).await;
    let url = world.entra.authorization_url(&login()).await.unwrap();
    let query = query(&url);
    assert_eq!(query["scope"], "openid profile offline_access api://mcp/.default");
    assert!(!query.contains_key("resource"), "the v2.0 endpoints refuse it beside scopes: {url}");
    assert!(!url.as_str().contains(MARK), "{url}");
    world.exchange_of(ACME).await.unwrap();
    assert!(!world.fake.request("/token").form.contains_key("resource"));
}

#[tokio::test]
async fn the_subject_is_the_account_and_not_the_apps_name_for_it() {
    let world = World::new(ACME, ACME).await;
    let identity = world.exchange_of(ACME).await.unwrap();
    let jane = Identity {
        subject: Subject::new(format!("{JANE}.{ACME}")),
        email: Some("jane@example.com".into()),
        facts: Facts { organizations: [ACME.to_owned()].into(), ..Facts::default() },
    };
    assert_eq!(identity, jane);
    for oid in [json!(null), json!(""), json!("jane"), json!([JANE])] {
        let mut claims = world.claims(ACME);
        claims["oid"] = oid;
        assert_eq!(error_of(world.exchange(&claims).await), wrong("oid is no identifier"));
    }
}

#[tokio::test]
async fn userinfo_is_never_asked_since_the_token_is_for_another() {
    let world = World::new(ACME, ACME).await;
    let mut claims = world.claims(ACME);
    claims["email"] = Value::Null;
    assert_eq!(world.exchange(&claims).await.unwrap().0.email, None);
    assert!(world.fake.requests("/userinfo").is_empty());
}

// === tenants ===

#[tokio::test]
async fn one_tenants_users_and_no_others() {
    for tenant in [ACME, "acme.example", "acme.onmicrosoft.com"] {
        let world = World::new(tenant, ACME).await;
        world.exchange_of(ACME).await.unwrap();
        for other in [OTHER, PERSONAL] {
            assert_eq!(
                error_of(world.exchange_of(other).await),
                wrong("tid is another tenant's"),
                "{tenant}"
            );
        }
    }
}

#[tokio::test]
async fn t13_the_issuer_is_the_tenant_in_tid() {
    let world = World::new("common", ANY_TENANT).await;
    let changed = |name: &str, value: Value| {
        let mut claims = world.claims(ACME);
        claims[name] = value;
        claims
    };
    let issuer = |tenant: &str| json!(format!("{}/{tenant}/v2.0", world.fake.issuer));
    for (claims, why) in [
        (changed("iss", issuer(OTHER)), "iss is another's"),
        (changed("iss", issuer(ANY_TENANT)), "iss is another's"),
        (changed("iss", json!(format!("https://sts.windows.net/{ACME}/"))), "iss is another's"),
        (changed("iss", json!(format!("https://evil.example/{ACME}/v2.0"))), "iss is another's"),
        (changed("tid", json!(OTHER)), "iss is another's"),
        (changed("tid", json!(null)), "tid is no identifier"),
        (changed("tid", json!("")), "tid is no identifier"),
        (changed("tid", json!(ANY_TENANT)), "tid is no identifier"),
        (changed("tid", json!(format!("x/../{ACME}"))), "tid is no identifier"),
    ] {
        assert_eq!(error_of(world.exchange(&claims).await), wrong(why), "{claims}");
    }
}

#[tokio::test]
async fn several_tenants_and_personal_accounts() {
    let common = World::new("common", ANY_TENANT).await;
    for tenant in [ACME, OTHER, PERSONAL] {
        assert_eq!(common.exchange_of(tenant).await.unwrap().subject.as_str(), format!("{JANE}.{tenant}"));
    }
    let organizations = World::new("organizations", ANY_TENANT).await;
    organizations.exchange_of(OTHER).await.unwrap();
    assert_eq!(error_of(organizations.exchange_of(PERSONAL).await), wrong("tid is another tenant's"));

    let consumers = World::new("consumers", PERSONAL).await;
    consumers.exchange_of(PERSONAL).await.unwrap();
    assert_eq!(error_of(consumers.exchange_of(ACME).await), wrong("tid is another tenant's"));
}

#[tokio::test]
async fn of_several_tenants_only_the_allowed_ones() {
    let world = World::with("organizations", ANY_TENANT, &[ACME], app()).await;
    world.exchange_of(ACME).await.unwrap();
    let why = format!("the tenant {OTHER} is not one of those allowed");
    assert_eq!(error_of(world.exchange_of(OTHER).await), ProviderError::NotAllowed(why));
}

#[tokio::test]
async fn a_key_signs_the_tokens_of_the_issuer_that_it_is_for() {
    let world = World::new("common", ANY_TENANT).await;
    let key_of = |tenant: &str| {
        let mut jwk = world.key.jwk();
        jwk["issuer"] = format!("{}/{tenant}/v2.0", world.fake.issuer).into();
        json!({ "keys": [jwk] })
    };
    world.fake.reply("/jwks", key_of(ANY_TENANT));
    world.exchange_of(ACME).await.unwrap();

    let world = World::new("common", ANY_TENANT).await;
    let mut jwk = world.key.jwk();
    jwk["issuer"] = format!("{}/{PERSONAL}/v2.0", world.fake.issuer).into();
    world.fake.reply("/jwks", json!({ "keys": [jwk] }));
    world.exchange_of(PERSONAL).await.unwrap();
    assert_eq!(error_of(world.exchange_of(ACME).await), wrong("its key is another tenant's"));
}

#[tokio::test]
async fn t13_metadata_and_answers_of_another_tenant_are_refused() {
    for (tenant, named) in [
        (ACME, OTHER),
        (ACME, ANY_TENANT),
        ("acme.example", ANY_TENANT),
        ("consumers", ACME),
        ("organizations", PERSONAL),
        ("common", "x"),
    ] {
        let world = World::new(tenant, named).await;
        let error = error_of(world.entra.authorization_url(&login()).await);
        assert!(matches!(error, ProviderError::Malformed(_)), "{tenant} {named}");
    }
    let world = World::new(ACME, ACME).await;
    let issuer = |tenant| format!("{}/{tenant}/v2.0", world.fake.issuer);
    assert_eq!(world.entra.check_issuer(None).await, Ok(()));
    assert_eq!(world.entra.check_issuer(Some(&issuer(ACME))).await, Ok(()));
    for iss in [issuer(OTHER), format!("https://evil.example/{ACME}/v2.0"), String::new()] {
        assert_eq!(world.entra.check_issuer(Some(&iss)).await, Err(ProviderError::Issuer));
    }
}

#[test]
fn tenants_are_written_as_in_entras_urls() {
    assert_eq!(Tenant::parse(&ACME.to_uppercase()), Some(Tenant::Id(ACME.into())));
    assert_eq!(Tenant::parse("acme.example"), Some(Tenant::Domain("acme.example".into())));
    assert_eq!(Tenant::parse("common"), Some(Tenant::Common));
    for bad in ["", "acme", "Common", "a.b/c", "a.b?c", "..", "8eaef023-2b34-4da1-9baa-8bc8c9d6a49g"] {
        assert_eq!(Tenant::parse(bad), None, "{bad}");
    }
}

// === tokens ===

#[tokio::test]
async fn t23_entras_refresh_tokens_rotate_and_a_dead_one_is_final() {
    let world = World::new(ACME, ACME).await;
    let mut answer = token_answer();
    answer["refresh_token"] = "s3cr3t-next".into();
    world.fake.reply("/token", answer);
    let tokens = world.entra.refresh(&secret("refresh"), &world.acting, NOW).await.unwrap();
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "s3cr3t-next");

    let error = |code: &str| {
        let body =
            json!({ "error": code, "error_description": "AADSTS70043: s3cr3t", "error_codes": [70043] });
        crate::provider::testing::Reply::error(400, body)
    };
    world.fake.reply("/token", error("invalid_grant"));
    assert_eq!(
        error_of(world.entra.refresh(&secret("refresh"), &world.acting, NOW).await),
        ProviderError::InvalidGrant
    );
    world.fake.reply("/token", error("interaction_required"));
    let error = error_of(world.entra.refresh(&secret("refresh"), &world.acting, NOW).await);
    assert_eq!(error, ProviderError::Refused("interaction_required".into()));
}

#[tokio::test]
async fn a_certificate_takes_the_secrets_place() {
    let (certificate, private_key) = crate::provider::testing::certificate();
    let key = ClientKey::from_pem(&certificate, &private_key).unwrap();
    let identity = AppIdentity::Fixed(credentials(ClientAuth::PrivateKeyJwt(key)));
    let world = World::with(ACME, ACME, &[], App { identity, ..app() }).await;
    world.exchange_of(ACME).await.unwrap();
    world.entra.refresh(&secret("refresh"), &world.acting, NOW).await.unwrap();

    let requests = world.fake.requests("/token");
    for request in &requests {
        assert_eq!(request.form["client_id"], "portcullis");
        assert_eq!(request.form["client_assertion_type"], crate::provider::client_key::ASSERTION_TYPE);
        assert!(
            !request.form.contains_key("client_secret") && !request.headers.contains_key("authorization")
        );
    }
    assert_ne!(requests[0].form["client_assertion"], requests[1].form["client_assertion"]);
}

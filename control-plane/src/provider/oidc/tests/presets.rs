//! Providers that are `kind: oidc` and configuration: what differs between them.

use super::*;

/// What comes of a login at an issuer with this path, and of its refresh.
async fn login_at(path: &str, app: App, answer: impl FnOnce(&FakeProvider)) -> (FakeProvider, Url) {
    let fake = FakeProvider::start().await;
    let issuer = format!("{}{path}", fake.issuer);
    let key = SigningKey::rsa("2024", jsonwebtoken::Algorithm::RS256);
    let acting = acting_as(&app);
    fake.discover(path, &json!({}));
    fake.reply("/jwks", json!({ "keys": [key.jwk()] }));
    fake.answer_with(&key.sign(&claims(&issuer)));
    answer(&fake);
    let provider = Settings::Oidc(OidcSettings { issuer: issuer.clone(), app }).connect(http());
    let url = provider.authorization_url(&login()).await.unwrap();
    assert_eq!(provider.check_issuer(Some(&issuer)).await, Ok(()));
    let (identity, _) =
        provider.exchange(&secret("code"), &Login { acting: &acting, ..login() }, NOW).await.unwrap();
    assert_eq!(identity.subject.as_str(), "248289761001");
    (fake, url)
}

#[tokio::test]
async fn okta_has_the_authorization_server_in_the_issuers_path() {
    let scopes = ["openid", "email", "offline_access"].map(String::from).to_vec();
    let (fake, url) = login_at("/oauth2/default", App { scopes, ..app() }, |_| ()).await;
    assert_eq!(fake.requests("/oauth2/default/.well-known/openid-configuration").len(), 1);
    assert_eq!(query(&url)["scope"], "openid email offline_access");
}

#[tokio::test]
async fn auth0_has_a_slash_at_the_issuers_end_and_wants_to_know_the_audience() {
    let audience = ("audience".to_owned(), "https://api.example.com/".to_owned());
    let app = App { authorize_parameters: vec![audience], ..app() };
    let (fake, url) = login_at("/", app, |_| ()).await;
    assert_eq!(fake.requests("/.well-known/openid-configuration").len(), 1);
    assert_eq!(query(&url)["audience"], "https://api.example.com/");
}

#[tokio::test]
async fn auth0s_issuer_without_its_slash_is_another() {
    let fake = FakeProvider::start().await;
    fake.discover("/", &json!({}));
    let oidc = Oidc::new(OidcSettings { issuer: fake.issuer.clone(), app: app() }, http());
    let error = error_of(oidc.authorization_url(&login()).await);
    let text = format!("`issuer` of the discovery document is not {} to the letter", fake.issuer);
    assert_eq!(error, ProviderError::Malformed(text));
}

#[tokio::test]
async fn keycloak_has_the_realm_in_the_issuers_path_and_sends_iss() {
    let sends = |fake: &FakeProvider| {
        fake.discover("/realms/acme", &json!({ "authorization_response_iss_parameter_supported": true }));
    };
    let (fake, _) = login_at("/realms/acme", app(), sends).await;
    let issuer = |realm: &str| format!("{}/realms/{realm}", fake.issuer);
    let oidc = Oidc::new(OidcSettings { issuer: issuer("acme"), app: app() }, http());
    assert_eq!(oidc.check_issuer(None).await, Err(ProviderError::Issuer));
    assert_eq!(oidc.check_issuer(Some(&issuer("other"))).await, Err(ProviderError::Issuer));
}

#[tokio::test]
async fn authkit_is_plain_openid_connect() {
    let (fake, _) = login_at(
        "",
        App { identity: AppIdentity::Fixed(credentials(ClientAuth::Post(secret("client")))), ..app() },
        |_| (),
    )
    .await;
    assert_eq!(fake.request("/token").form["client_secret"], "s3cr3t-client");
}

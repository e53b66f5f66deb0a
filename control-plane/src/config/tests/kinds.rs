//! The kinds of provider that are known by name.

use super::*;
use crate::provider::{Selector, Tenant};

/// What the reader makes of the good file with another provider.
fn provider(keys: &str) -> Result<Settings, String> {
    let (start, end) = (GOOD.find("    kind: oidc").unwrap(), GOOD.find("servers:").unwrap());
    let text = format!("{}    client_id: portcullis\n    {keys}\n{}", &GOOD[..start], &GOOD[end..]);
    let text = text.replace("required_scopes: [email]", "required_scopes: []");
    match read(&text) {
        Ok(mut config) => Ok(config.providers.remove(&ProviderName::new("corp")).unwrap()),
        Err(problems) => Err(problems.to_string()),
    }
}

#[track_caller]
fn assert_wrong(keys: &str, said: &str) {
    assert_eq!(provider(keys).map(|_| ()), Err(said.to_owned()), "{keys}");
}

const SECRET_KEY: &str = "client_secret: { env: CORP }";

#[test]
fn google() {
    let Ok(Settings::Google(google)) = provider(&format!("{SECRET_KEY}\n    kind: google")) else {
        panic!("google")
    };
    assert_eq!(google.issuer, "https://accounts.google.com");
    assert_eq!(google.hosted_domain, None);
    assert_eq!(google.app.scopes, ["openid", "email"]);
    assert!(matches!(auth(&google.app), ClientAuth::Post(_)));

    let with = |keys: &str| format!("{SECRET_KEY}\n    kind: google\n    {keys}");
    let Ok(Settings::Google(google)) = provider(&with("hosted_domain: Example.com")) else {
        panic!("google")
    };
    assert_eq!(google.hosted_domain.as_deref(), Some("example.com"));
    for bad in ["example", "'*'", "jane@example.com", "https://example.com"] {
        let said = "p:8: providers.corp.hosted_domain: must be a domain such as `example.com`";
        assert_wrong(&with(&format!("hosted_domain: {bad}")), said);
    }
    let own = "p:8: providers.corp.authorize_parameters.hd: Portcullis sets this parameter itself";
    assert_wrong(&with("authorize_parameters: { hd: example.com }"), own);
    let unknown = "p:8: providers.corp.client_auth: unknown key; known: kind, issuer, hosted_domain, client_id, client_secret, scopes, authorize_parameters";
    assert_wrong(&with("client_auth: client_secret_basic"), unknown);
}

#[test]
fn github() {
    let with = |keys: &str| format!("{SECRET_KEY}\n    kind: github\n    {keys}");
    let Ok(Settings::GitHub(github)) = provider(&with("organization: acme")) else { panic!("github") };
    assert_eq!(github.base_url.as_str(), "https://github.com/");
    assert_eq!(github.api_url.as_str(), "https://api.github.com/");
    assert_eq!(github.organization.as_deref(), Some("acme"));
    assert_eq!(github.app.scopes, [""; 0]);

    let Ok(Settings::GitHub(server)) = provider(&with("base_url: https://github.acme.example")) else {
        panic!("github")
    };
    assert_eq!(server.api_url.as_str(), "https://github.acme.example/api/v3/");
    let both = with("base_url: http://localhost:4001\n    api_url: http://localhost:4001");
    let Ok(Settings::GitHub(local)) = provider(&both) else { panic!("github") };
    assert_eq!(local.api_url.as_str(), "http://localhost:4001/");

    let said = "p:8: providers.corp.organization: must be the organization's name in its URL: letters, digits and hyphens";
    for bad in ["acme/..", "'acme corp'", "'https://github.com/acme'"] {
        assert_wrong(&with(&format!("organization: {bad}")), said);
    }
    let insecure = "p:8: providers.corp.base_url: must be https: plain http is for loopback only";
    assert_wrong(&with("base_url: http://github.acme.example"), insecure);
}

#[test]
fn entra() {
    let with = |keys: &str| format!("{SECRET_KEY}\n    kind: entra\n    {keys}");
    let id = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    let Ok(Settings::Entra(entra)) = provider(&with(&format!("tenant: {}", id.to_uppercase()))) else {
        panic!("entra")
    };
    assert_eq!(entra.tenant, Tenant::Id(id.into()));
    assert_eq!(entra.authority, "https://login.microsoftonline.com");
    assert_eq!(entra.app.scopes, ["openid", "email"]);

    let several = with(&format!(
        "tenant: common\n    allowed_tenants: [{id}]\n    authority: https://login.microsoftonline.us/"
    ));
    let Ok(Settings::Entra(entra)) = provider(&several) else { panic!("entra") };
    assert_eq!(entra.allowed_tenants, [id]);
    assert_eq!(entra.authority, "https://login.microsoftonline.us");

    assert_wrong(
        &with("tenant: acme"),
        "p:8: providers.corp.tenant: must be a tenant's identifier or domain, or `common`, `organizations` or `consumers`",
    );
    assert_wrong(
        &with("tenant: common\n    allowed_tenants: [acme.example]"),
        "p:9: providers.corp.allowed_tenants[0]: must be a tenant's identifier, such as `72f988bf-86f1-41af-91ab-2d7cd011db47`",
    );
    assert_wrong(
        &with(&format!("tenant: acme.example\n    allowed_tenants: [{id}]")),
        "p:4: providers.corp: `allowed_tenants` is for the tenants `common` and `organizations`",
    );
}

#[test]
fn entra_with_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, private_key) = crate::provider::testing::certificate();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("certificate.pem"), certificate).unwrap();
    std::fs::write(path("key.pem"), private_key.expose_secret()).unwrap();
    std::fs::write(path("other.pem"), crate::provider::testing::rsa_key()).unwrap();
    let with = |certificate: &str, key: &str| {
        let (certificate, key) = (path(certificate), path(key));
        format!(
            "kind: entra\n    tenant: common\n    client_certificate: {{ certificate: {certificate}, private_key: {{ file: {key} }} }}"
        )
    };
    let Ok(Settings::Entra(entra)) = provider(&with("certificate.pem", "key.pem")) else { panic!("entra") };
    assert!(matches!(auth(&entra.app), ClientAuth::PrivateKeyJwt(_)));

    let place = "p:8: providers.corp.client_certificate";
    let mismatch = format!("{place}: the certificate is not the private key's");
    assert_wrong(&with("certificate.pem", "other.pem"), &mismatch);
    let missing = path("none.pem");
    let said = format!("{place}.certificate: cannot read {missing}: No such file or directory (os error 2)");
    assert_wrong(&with("none.pem", "key.pem"), &said);
    let one = "p:4: providers.corp: must have one of `client_secret` and `client_certificate`";
    assert_wrong("kind: entra\n    tenant: common", one);
    assert_wrong(&format!("{}\n    {SECRET_KEY}", with("certificate.pem", "key.pem")), one);
}

#[test]
fn workos() {
    let with = |keys: &str| format!("{SECRET_KEY}\n    kind: workos\n    {keys}");
    for (keys, selector) in [
        ("scopes: []", Selector::Provider("authkit".into())),
        ("provider: GoogleOAuth", Selector::Provider("GoogleOAuth".into())),
        ("connection_id: conn_01", Selector::Connection("conn_01".into())),
        ("organization_id: org_01", Selector::Organization("org_01".into())),
    ] {
        let Ok(Settings::WorkOs(workos)) = provider(&with(keys)) else { panic!("workos") };
        assert_eq!(workos.selector, selector);
        assert_eq!(workos.api_url.as_str(), "https://api.workos.com/");
    }
    let one = "p:4: providers.corp: must have only one of `provider`, `connection_id` and `organization_id`";
    assert_wrong(&with("connection_id: c\n    organization_id: o"), one);
    assert_wrong(&with("provider: authkit\n    organization_id: o"), one);
    let own =
        "p:8: providers.corp.authorize_parameters.organization_id: Portcullis sets this parameter itself";
    assert_wrong(&with("authorize_parameters: { organization_id: o }"), own);
}

#[test]
fn no_kind_shows_its_secret() {
    for keys in ["kind: google", "kind: github", "kind: workos", "kind: entra\n    tenant: common"] {
        let settings = provider(&format!("{keys}\n    {SECRET_KEY}")).unwrap();
        assert_eq!(credentials(settings.app()).client_id, "portcullis");
        assert!(!format!("{settings:?}").contains(SECRET), "{keys}");
    }
}

//! One function for each kind. A new kind is a function and a line in [`KINDS`].

use url::Url;

use super::registration::{fixed_or_dynamic, is_dynamic};
use super::{AppKeys, app, fixed, secret_in_body};
use crate::config::item::Item;
use crate::config::problems::Reported;
use crate::config::section::Section;
use crate::config::{secret, values};
use crate::provider::{
    AppIdentity, ClientAuth, ClientKey, EntraSettings, GitHubSettings, GoogleSettings, OAuth2Settings,
    OidcSettings, Selector, Settings, Tenant, WorkOsSettings,
};

/// How one kind's keys are read; `kind` has been read already.
type Read = fn(&mut Section<'_>) -> Result<Settings, Reported>;

pub(super) const KINDS: [(&str, Read); 6] = [
    ("oidc", oidc),
    ("oauth2", oauth2),
    ("google", google),
    ("github", github),
    ("entra", entra),
    ("workos", workos),
];

fn oidc(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let issuer = section.required("issuer", issuer);
    let app = app(section, &AppKeys { scopes: &["openid"], parameters: &[], identity: fixed_or_dynamic });
    let settings = OidcSettings { issuer: issuer?, app: app? };
    if settings.app.scopes.iter().any(|scope| scope == "openid") {
        Ok(Settings::Oidc(settings))
    } else {
        Err(section.wrong("`scopes` must have `openid`: without it there is no ID token"))
    }
}

fn oauth2(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let authorization_endpoint = section.required("authorization_endpoint", provider_url);
    let token_endpoint = section.required("token_endpoint", provider_url);
    let userinfo = section.required("userinfo", |item| {
        let mut section = item.section()?;
        let url = section.required("url", provider_url);
        let subject = section.or("subject", "sub".to_owned(), Item::text);
        let email = section.or("email", "email".to_owned(), Item::text);
        Ok((url?, subject?, email?))
    });
    let registration_endpoint =
        section.optional("registration_endpoint", |item| provider_url(item).map(Box::new));
    let issuer = section.optional("issuer", issuer);
    let app = app(section, &AppKeys { scopes: &[], parameters: &[], identity: fixed_or_dynamic });
    let (userinfo_endpoint, subject_member, email_member) = userinfo?;
    let (registration_endpoint, app) = (registration_endpoint?, app?);
    if is_dynamic(&app) != registration_endpoint.is_some() {
        let text = "`registration: dynamic` and `registration_endpoint` go together";
        return Err(section.wrong(text));
    }
    Ok(Settings::OAuth2(OAuth2Settings {
        authorization_endpoint: authorization_endpoint?,
        token_endpoint: token_endpoint?,
        userinfo_endpoint,
        subject_member,
        email_member,
        registration_endpoint,
        issuer: issuer?,
        app,
    }))
}

fn google(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let issuer = section.or("issuer", "https://accounts.google.com".to_owned(), issuer);
    let hosted_domain = section.optional("hosted_domain", |item| item.parse(values::domain));
    let parameters = &GoogleSettings::OWN_PARAMETERS;
    let keys = AppKeys { scopes: &["openid", "email"], parameters, identity: secret_in_body };
    let app = app(section, &keys);
    Ok(Settings::Google(GoogleSettings { issuer: issuer?, hosted_domain: hosted_domain?, app: app? }))
}

fn github(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let base_url = section.or("base_url", constant("https://github.com/"), directory);
    let api_url = section.optional("api_url", directory);
    let organization = section.optional("organization", |item| item.parse(values::github_organization));
    let app = app(section, &AppKeys { scopes: &[], parameters: &[], identity: secret_in_body });
    let base_url = base_url?;
    let api_url = api_url?.unwrap_or_else(|| GitHubSettings::default_api_url(&base_url));
    Ok(Settings::GitHub(GitHubSettings { base_url, api_url, organization: organization?, app: app? }))
}

fn entra(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let tenant = section.required("tenant", |item| item.parse(tenant));
    let allowed_tenants =
        section.or("allowed_tenants", Vec::new(), |item| item.list(|id| id.parse(tenant_id)));
    let authority = section.or("authority", "https://login.microsoftonline.com".to_owned(), |item| {
        issuer(item).map(|url| url.trim_end_matches('/').to_owned())
    });
    let keys = AppKeys { scopes: &["openid", "email"], parameters: &[], identity: secret_or_certificate };
    let app = app(section, &keys);
    let (tenant, allowed_tenants) = (tenant?, allowed_tenants?);
    if !allowed_tenants.is_empty() && !tenant.is_several() {
        return Err(section.wrong("`allowed_tenants` is for the tenants `common` and `organizations`"));
    }
    Ok(Settings::Entra(EntraSettings { authority: authority?, tenant, allowed_tenants, app: app? }))
}

fn workos(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let api_url = section.or("api_url", constant("https://api.workos.com/"), directory);
    let provider = section.optional("provider", Item::text);
    let connection = section.optional("connection_id", Item::text);
    let organization = section.optional("organization_id", Item::text);
    let parameters = &WorkOsSettings::OWN_PARAMETERS;
    let app = app(section, &AppKeys { scopes: &[], parameters, identity: secret_in_body });
    let selector = match (provider?, connection?, organization?) {
        (provider, None, None) => Selector::Provider(provider.unwrap_or_else(|| "authkit".to_owned())),
        (None, Some(id), None) => Selector::Connection(id),
        (None, None, Some(id)) => Selector::Organization(id),
        _ => {
            let text = "must have only one of `provider`, `connection_id` and `organization_id`";
            return Err(section.wrong(text));
        }
    };
    Ok(Settings::WorkOs(WorkOsSettings { api_url: api_url?, selector, app: app? }))
}

// === single keys ===

fn provider_url(item: Item<'_>) -> Result<Url, Reported> {
    item.parse(values::provider_url)
}

/// The issuer to the letter: identifiers are compared as text (RFC 8414 section 3.3, RFC 9207 section 2.4).
fn issuer(item: Item<'_>) -> Result<String, Reported> {
    item.parse(|text| values::provider_url(text).map(|_| text.to_owned()))
}

/// A URL that others are below: its path ends in a slash.
fn directory(item: Item<'_>) -> Result<Url, Reported> {
    provider_url(item).map(|mut url| {
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    })
}

#[expect(clippy::expect_used, reason = "a default, which a test reads")]
fn constant(url: &'static str) -> Url {
    Url::parse(url).expect("a URL")
}

fn tenant(text: &str) -> Result<Tenant, String> {
    let known = "`common`, `organizations` or `consumers`";
    Tenant::parse(text).ok_or_else(|| format!("must be a tenant's identifier or domain, or {known}"))
}

/// A tenant's identifier, in lower case.
pub(in crate::config) fn tenant_id(text: &str) -> Result<String, String> {
    match Tenant::parse(text) {
        Some(Tenant::Id(id)) => Ok(id),
        _ => Err("must be a tenant's identifier, such as `72f988bf-86f1-41af-91ab-2d7cd011db47`".to_owned()),
    }
}

/// `client_secret`, or `client_certificate` in its place.
fn secret_or_certificate(section: &mut Section<'_>) -> Result<AppIdentity, Reported> {
    fixed(section, either)
}

fn either(section: &mut Section<'_>) -> Result<ClientAuth, Reported> {
    let secret = section.optional("client_secret", secret::read);
    let certificate = section.optional("client_certificate", |item| {
        let mut section = item.section()?;
        let certificate = section.required("certificate", secret::file);
        let private_key = section.required("private_key", secret::read);
        let key = ClientKey::from_pem(&certificate?, &private_key?);
        key.map_err(|error| section.wrong(error.to_string()))
    });
    match (secret?, certificate?) {
        (Some(secret), None) => Ok(ClientAuth::Post(secret)),
        (None, Some(key)) => Ok(ClientAuth::PrivateKeyJwt(key)),
        _ => Err(section.wrong("must have one of `client_secret` and `client_certificate`")),
    }
}
